//! Generated migrations, applied by the tools that they are made for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use outbox_runtime::Tables;
use outbox_runtime::schema::{Dialect, Migration};
use outbox_tests::TestDatabase;
use outbox_tests::servers::{PostgresVersion, variables};
use sqlx::Postgres;

use crate::Place;

const UP_TO_DATE: &str = "the outbox tables match version 7\n";

fn cache() -> PathBuf {
    std::env::var(variables::CACHE)
        .expect("the tests are run through ./tests/run")
        .into()
}

async fn empty() -> TestDatabase<Postgres> {
    TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await
}

/// Runs a tool, which has to succeed, and returns what it said.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the tool was fetched by ./tests/run");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {said:?}");
    said.concat()
}

fn flyway(place: &Place, url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let jdbc = format!(
        "jdbc:postgresql://{}:{}{}",
        url.host_str().unwrap(),
        url.port().unwrap_or(5432),
        url.path()
    );
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tools/flyway.xml");
    let mut command = Command::new("mvn");
    command
        .args(["--offline", "--batch-mode", "flyway:migrate", "--file"])
        .arg(plan)
        .arg(format!("-Dmaven.repo.local={}", cache().join("maven").display()))
        .arg(format!("-Dflyway.url={jdbc}"))
        .arg(format!("-Dflyway.user={}", url.username()))
        .arg(format!(
            "-Dflyway.password={}",
            url.password().unwrap_or_default()
        ))
        .arg(format!(
            "-Dflyway.locations=filesystem:{}",
            place.path().join("migrations").display()
        ));
    succeed(&mut command)
}

#[tokio::test]
async fn flyway_applies_plain_sql_and_later_the_upgrade() {
    // GIVEN what an older toolkit would have written
    let (place, database) = (Place::new(), empty().await);
    let first = &Migration::history(Dialect::Postgres, &Tables::default(), 1)[0];
    let migrations = place.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    fs::write(
        migrations.join("V1__outbox.sql"),
        first.up().replacen("`.", " --format sql`.", 1),
    )
    .unwrap();
    flyway(&place, &database.url());

    // WHEN this one looks at the directory
    let wrote = place
        .run("generate migration --database postgres --format sql")
        .done();
    assert!(wrote.contains("V7__upgrade_outbox_tables_to_7.sql"), "{wrote}");
    let said = flyway(&place, &database.url());
    assert!(said.contains("now at version v7"), "{said}");

    // THEN the tables are those of this version
    let url = database.url();
    assert_eq!(place.run(&format!("migration check -D {url}")).done(), UP_TO_DATE);
    let (place, database) = (Place::new(), empty().await);
    place
        .run("generate migration --database postgres --format sql")
        .done();
    flyway(&place, &database.url());
    let url = database.url();
    assert_eq!(place.run(&format!("migration check -D {url}")).done(), UP_TO_DATE);
    assert!(
        place
            .run(&format!("migrate -D {url}"))
            .done()
            .starts_with("nothing to do")
    );
}

/// The smallest environment of Alembic's, and a service's own first revision.
const ENVIRONMENT: &str = "from alembic import context
from sqlalchemy import create_engine

url = context.config.get_main_option('sqlalchemy.url')
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={'paramstyle': 'named'})
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
";
const OWN: &str = "from alembic import op

revision = 'a1b2'
down_revision = None


def upgrade():
    op.execute('CREATE TABLE orders (id integer)')


def downgrade():
    op.execute('DROP TABLE orders')
";

struct Alembic {
    place: Place,
    generate: String,
}

impl Alembic {
    fn new(database: &str, url: &str) -> Self {
        let place = Place::new();
        let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
        fs::create_dir_all(place.path().join("alembic/versions")).unwrap();
        write(
            "alembic.ini",
            &format!("[alembic]\nscript_location = alembic\nsqlalchemy.url = {url}\n"),
        );
        write("alembic/env.py", ENVIRONMENT);
        write("alembic/versions/a1b2_orders.py", OWN);
        let generate =
            format!("generate migration --database {database} --format alembic --dir alembic/versions");
        Self { place, generate }
    }

    fn on_postgres(url: &str) -> Self {
        Self::new("postgres", &url.replacen("postgres", "postgresql+psycopg", 1))
    }

    fn alembic(&self, arguments: &str) -> String {
        let mut command = Command::new(cache().join("python/bin/alembic"));
        succeed(
            command
                .current_dir(self.place.path())
                .args(arguments.split_whitespace()),
        )
    }

    fn revision(&self, file: &str) -> PathBuf {
        self.place.path().join("alembic/versions").join(file)
    }
}

const CREATE: &str = "20250101000000_create_outbox_tables.py";
const UPGRADES: [&str; 6] = [
    "20261124000000_upgrade_outbox_tables_to_2.py",
    "20261128000000_upgrade_outbox_tables_to_3.py",
    "20261129000000_upgrade_outbox_tables_to_4.py",
    "20261130000000_upgrade_outbox_tables_to_5.py",
    "20261201000000_upgrade_outbox_tables_to_6.py",
    "20261202000000_upgrade_outbox_tables_to_7.py",
];

#[tokio::test]
async fn alembic_goes_up_and_down_behind_the_services_own_history() {
    let database = empty().await;
    let url = database.url();
    let service = Alembic::on_postgres(&url);
    service.place.run(&service.generate).done();
    service.alembic("upgrade head");
    let check = format!("migration check -D {url}");
    assert_eq!(service.place.run(&check).done(), UP_TO_DATE);
    assert!(
        service
            .alembic("history")
            .contains("create outbox tables, version 7")
    );

    service.alembic("downgrade -1");
    let left: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(left, ["alembic_version", "orders"]);

    // What it would run is the same when it only writes it down.
    let script = service.alembic("upgrade a1b2:head --sql");
    fs::write(
        service.place.path().join("offline.sql"),
        script.split_once("BEGIN;").unwrap().1,
    )
    .unwrap();
    sqlx::raw_sql("DELETE FROM alembic_version")
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::raw_sql("INSERT INTO alembic_version VALUES ('a1b2')")
        .execute(&database.pool)
        .await
        .unwrap();
    let mut psql = Command::new("psql");
    succeed(
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "-v",
            "ON_ERROR_STOP=1",
            &url,
            "-f",
            "offline.sql",
        ])
        .current_dir(service.place.path()),
    );
    assert_eq!(service.place.run(&check).done(), UP_TO_DATE);
}

#[tokio::test]
async fn alembic_upgrades_from_version_1_and_back() {
    let database = empty().await;
    let url = database.url();
    let service = Alembic::on_postgres(&url);
    // GIVEN a history that began with version 1: what is missing of it is written as it was
    let begun = "# Generated by `outbox generate migration --database postgres --format alembic`.\n\
                 # Brings the outbox's tables for PostgreSQL from version 1 to version 2. It stands in for more.\n";
    fs::write(service.revision(UPGRADES[0]), begun).unwrap();
    let completed = service.place.run(&format!("{} --force", service.generate));
    assert_eq!(completed.code, Some(0), "{completed:?}");
    for upgrade in UPGRADES {
        fs::remove_file(service.revision(upgrade)).unwrap();
    }
    service.alembic("upgrade head");
    service
        .place
        .run(&format!("migrate -D {url} --prefix other_"))
        .done();
    let check = format!("migration check -D {url}");
    assert_eq!(service.place.run(&check).code, Some(3));

    // WHEN the upgrade is generated, behind the only head
    let wrote = service.place.run(&service.generate).done();
    let named = UPGRADES.map(|upgrade| format!("wrote alembic/versions/{upgrade}\n"));
    assert_eq!(wrote, named.concat());
    service.alembic("upgrade head");
    // THEN the tables are those of this version, and there is a way back
    assert_eq!(service.place.run(&check).done(), UP_TO_DATE);
    service.alembic(&format!("downgrade -{}", UPGRADES.len()));
    let ran = service.place.run(&check);
    assert!(ran.stdout.contains("the version is 1"), "{ran:?}");
    assert!(service.revision(CREATE).exists());
}

#[tokio::test]
async fn alembic_goes_up_and_down_on_sqlite() {
    let service = Alembic::new("sqlite", "sqlite:///app.db");
    service.place.run(&service.generate).done();
    service.alembic("upgrade head");
    let check = "migration check -D sqlite:app.db";
    assert_eq!(service.place.run(check).done(), UP_TO_DATE);
    service.alembic("downgrade -1");
    let ran = service.place.run(check);
    assert!(
        ran.stdout.contains("outbox_messages: the table is missing"),
        "{ran:?}"
    );
}
