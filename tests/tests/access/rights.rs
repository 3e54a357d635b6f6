//! Programs with exactly the rights that the documentation lists, and with each of them missing in turn.

use std::time::Duration;

use outbox_runtime::schema::Role;
use outbox_runtime::{Error, Outbox, OutboxMessage, Tables, migrate};
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{PostgresVersion, brokers};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Postgres};
use uuid::Uuid;

const SCHEMA: &str = "events";
const MODES: [&str; 2] = ["at-least-once", "exactly-once"];

/// A database with the tables in a schema of their own, and a role that may do nothing yet.
struct Scene {
    database: TestDatabase<Postgres>,
    tables: Tables,
    grantee: String,
    topic: Topic,
}

impl Scene {
    async fn new() -> Self {
        let database = TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await;
        let grantee = format!("tester_{}", Uuid::new_v4().simple());
        let tables = Tables::new(Some(SCHEMA), "outbox_").unwrap();
        let scene = Self {
            database,
            tables,
            grantee,
            // As that of a record which is too large.
            topic: Topic::create_at(&brokers(), "rights", 1, &[("max.message.bytes", "20000")]).await,
        };
        scene
            .run(&format!(
                "CREATE ROLE {} LOGIN; CREATE SCHEMA {SCHEMA}",
                scene.grantee
            ))
            .await;
        migrate(&scene.database.pool, &scene.tables).await.unwrap();
        scene
    }

    async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&self.database.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn grant(&self, role: Role) -> Vec<String> {
        let grants = role.grants(&self.tables, SCHEMA, &self.grantee);
        for grant in &grants {
            self.run(grant).await;
        }
        grants
    }

    async fn forget_rights(&self) {
        self.run(&format!("DROP OWNED BY {}", self.grantee)).await;
    }

    /// The database's URL for the role.
    fn url(&self) -> String {
        let mut url = url::Url::parse(&self.database.url()).unwrap();
        url.set_username(&self.grantee).unwrap();
        url.into()
    }

    /// The role's own connections.
    fn pool(&self) -> PgPool {
        let options: PgConnectOptions = self.url().parse().unwrap();
        PgPoolOptions::new().max_connections(2).connect_lazy_with(options)
    }

    async fn command(&self, arguments: &str) -> Ran {
        Ran::of(&mut command(&format!(
            "{arguments} -D {} --schema {SCHEMA}",
            self.url()
        )))
        .await
    }

    fn relay(&self, mode: &str) -> String {
        format!(
            "relay --delivery {mode} --brokers {} --lease-ttl 1s -D {} --schema {SCHEMA}",
            brokers(),
            self.url()
        )
    }

    async fn drain(&self, mode: &str) -> Ran {
        Ran::of(&mut command(&format!("{} --until-empty", self.relay(mode)))).await
    }

    /// One event that goes out, and one that its topic does not take.
    async fn insert(&self) {
        self.run(&format!(
            "INSERT INTO {} (aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ('order', '1', 'OrderPlacedV1', '{topic}', '1'),
                    ('order', '1', 'OrderPlacedV1', '{topic}', to_json(repeat('x', 30000)))",
            self.tables.messages(),
            topic = self.topic.name()
        ))
        .await;
    }

    /// Roles belong to all databases.
    async fn end(self) {
        self.run(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.grantee))
            .await;
    }
}

/// Each right of these grants for itself: what gives it and what takes it.
fn each_right(grants: &[String]) -> Vec<(String, String)> {
    let mut rights = Vec::new();
    for grant in grants {
        let (privileges, rest) = grant
            .strip_prefix("GRANT ")
            .and_then(|grant| grant.split_once(" ON "))
            .unwrap();
        let revoked = rest.replace(" TO ", " FROM ");
        // Of columns there is one right only.
        let all: Vec<&str> = match privileges.contains('(') {
            true => vec![privileges],
            false => privileges.split(", ").collect(),
        };
        for privilege in all {
            rights.push((
                format!("GRANT {privilege} ON {rest}"),
                format!("REVOKE {privilege} ON {revoked}"),
            ));
        }
    }
    rights
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_works_with_what_is_documented_and_names_each_right_that_is_missing() {
    let scene = Scene::new().await;
    let grants = scene.grant(Role::Relay).await;
    for (mode, dead) in MODES.into_iter().zip(1_i64..) {
        scene.insert().await;
        assert_eq!(
            scene.drain(mode).await.done(),
            "delivered 1 messages; 1 dead-lettered\n",
            "{mode}"
        );
        let dead_letters = format!("SELECT count(*) FROM {}", scene.tables.dead_letters());
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(dead_letters))
            .fetch_one(&scene.database.pool)
            .await
            .unwrap();
        assert_eq!(found, dead, "{mode}");
    }
    for (number, (granted, revoked)) in each_right(&grants).into_iter().enumerate() {
        scene.run(&revoked).await;
        let checked = scene.command("migration check").await;
        assert_eq!(checked.code, Some(3), "{revoked}: {checked:?}");
        assert!(checked.stdout.contains(&granted), "{granted}: {checked:?}");
        let mode = MODES[number % 2];
        scene.drain(mode).await.fails(2, &[&granted]);
        // Also one that is not there to come to an end.
        let ran = Ran::of(&mut command(&scene.relay(MODES[(number + 1) % 2]))).await;
        ran.fails(2, &[&granted]);
        scene.run(&granted).await;
        scene.drain(mode).await.done();
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_has_worked_waits_for_what_was_taken_away() {
    for mode in MODES {
        let scene = Scene::new().await;
        let grants = scene.grant(Role::Relay).await;
        let mut relay = Running::start(command(&scene.relay(mode)));
        relay.says("starting the relay").await;
        scene.insert().await;
        seen(&scene.topic, 1).await;
        let messages = scene.tables.messages();
        for (taken, given) in [
            (
                format!("REVOKE SELECT ON {messages} FROM {}", scene.grantee),
                grants.join(";"),
            ),
            (
                format!("ALTER TABLE {messages} RENAME TO hidden"),
                format!("ALTER TABLE {SCHEMA}.hidden RENAME TO outbox_messages"),
            ),
            (
                format!("REVOKE USAGE ON SCHEMA {SCHEMA} FROM {}", scene.grantee),
                grants.join(";"),
            ),
        ] {
            scene.run(&taken).await;
            // A connection that is new finds it for certain.
            scene
                .run(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
                    scene.grantee
                ))
                .await;
            relay.says("waiting for the database").await;
            scene.run(&given).await;
            relay.says("the database works again").await;
        }
        scene.insert().await;
        seen(&scene.topic, 2).await;
        relay.stop().await.done();
        scene.end().await;
    }
}

async fn seen(topic: &Topic, count: usize) {
    wait_until("records to be delivered", Duration::from_secs(120), async || {
        (topic.read_committed().await.len() >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_or_schema_that_is_not_there_ends_a_relay_at_its_start() {
    let scene = Scene::new().await;
    for mode in MODES {
        let mut nowhere = url::Url::parse(&scene.url()).unwrap();
        nowhere.set_path("nowhere_at_all");
        let relay = format!("relay --delivery {mode} --brokers {} -D {nowhere}", brokers());
        Ran::of(&mut command(&relay))
            .await
            .fails(2, &["nowhere_at_all", "create the database"]);
        let relay = format!("{}x", scene.relay(mode));
        Ran::of(&mut command(&relay))
            .await
            .fails(1, &["outbox migrate --schema eventsx"]);
    }
    scene.end().await;
}

/// The other roles: what they do works with their grants, and the check lists each one that is missing.
#[tokio::test(flavor = "multi_thread")]
async fn writers_operators_and_readers_work_with_what_is_documented() {
    let scene = Scene::new().await;
    for role in [Role::Writer, Role::Operator, Role::Reader] {
        let grants = scene.grant(role).await;
        match role {
            Role::Writer => {
                write(&scene).await;
                scene.insert().await;
                let relay = format!(
                    "relay --brokers {} -D {} --schema {SCHEMA} --until-empty",
                    brokers(),
                    scene.database.url()
                );
                Ran::of(&mut command(&relay)).await.done();
            }
            Role::Operator => {
                for work in [
                    "status",
                    "dead-letters list",
                    "dead-letters replay --all",
                    "dead-letters discard --all",
                ] {
                    scene.command(work).await.done();
                }
            }
            _ => {
                for work in ["status", "dead-letters list"] {
                    scene.command(work).await.done();
                }
            }
        }
        scene
            .command(&format!("migration check --role {role}"))
            .await
            .done();
        for (granted, revoked) in each_right(&grants) {
            scene.run(&revoked).await;
            let checked = scene.command(&format!("migration check --role {role}")).await;
            assert_eq!(checked.code, Some(3), "{revoked}: {checked:?}");
            assert!(checked.stdout.contains(&granted), "{granted}: {checked:?}");
            scene.run(&granted).await;
        }
        scene.forget_rights().await;
    }
    scene.end().await;
}

/// An event, and a message that is acted on once.
async fn write(scene: &Scene) {
    let outbox = Outbox::builder(scene.pool()).tables(scene.tables.clone()).build();
    let inbox = outbox_runtime::Inbox::new(&outbox);
    for _ in 0..2 {
        let processed = outbox
            .transaction(async |tx| {
                inbox
                    .process(tx, "shop", "m1", async |tx| {
                        let message = OutboxMessage::builder(scene.topic.name(), "k")
                            .event_type("Processed")
                            .aggregate_type("shop")
                            .build();
                        tx.emit_message(message)?;
                        Ok::<_, Error>(())
                    })
                    .await
            })
            .await;
        let _ = processed.unwrap();
    }
}
