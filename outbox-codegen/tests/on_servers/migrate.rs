//! `outbox migrate` and `outbox status` on PostgreSQL.

use std::process::Command;

use outbox_tests::TestDatabase;
use outbox_tests::servers::PostgresVersion;
use sqlx::Postgres;

use crate::{Place, status};

async fn empty() -> TestDatabase<Postgres> {
    TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await
}

#[tokio::test]
async fn migrate_is_harmless_when_repeated() {
    let (place, database) = (Place::new(), empty().await);
    let url = database.url();
    place
        .run(&format!("status -D {url}"))
        .fails(1, &["no outbox tables", "outbox migrate --database-url"]);
    assert_eq!(
        place.run(&format!("migrate -D {url}")).done(),
        "the outbox tables now have version 7\n"
    );
    let again = place.run(&format!("migrate -D {url}")).done();
    assert_eq!(again, "nothing to do: the outbox tables have version 7\n");

    let names = "--schema billing --prefix events_";
    place
        .run(&format!("status -D {url} {names}"))
        .fails(1, &[&format!("outbox migrate {names}")]);
    place.run(&format!("migrate -D {url} {names}")).done();
    place.run(&format!("status -D {url} {names}")).done();
}

#[tokio::test]
async fn migrate_finds_nothing_to_do_where_psql_applied_the_file() {
    let (place, database) = (Place::new(), empty().await);
    place.run("generate migration --database postgres").done();
    let psql = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "-v",
            "ON_ERROR_STOP=1",
            "-1",
            &database.url(),
            "-f",
        ])
        .arg(
            place
                .path()
                .join("migrations/20250101000000_create_outbox_tables.up.sql"),
        )
        .status();
    assert!(
        psql.expect("psql is installed (Debian: postgresql-client)")
            .success()
    );
    let migrated = place.run(&format!("migrate -D {}", database.url())).done();
    assert_eq!(migrated, "nothing to do: the outbox tables have version 7\n");
}

#[tokio::test]
async fn status_counts_everything_before_any_relay_ran() {
    let (place, database) = (Place::new(), empty().await);
    place.run(&format!("migrate -D {}", database.url())).done();
    sqlx::query(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', n::text, 'OrderPlacedV1', 'orders', '{}' FROM generate_series(1, 12) AS n",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let status = status(&place, &database.url());
    assert_eq!(
        (&status["schema_version"], &status["delivery"]),
        (&1.into(), &"at_least_once".into())
    );
    assert_eq!(
        (&status["backlog"]["messages"], &status["backlog"]["exact"]),
        (&12.into(), &true.into())
    );
    assert_eq!(
        (&status["lease"], &status["dead_letters"]["dead"]),
        (&serde_json::Value::Null, &0.into())
    );
}

#[tokio::test]
async fn a_refused_login_is_a_failure_that_shows_no_password() {
    let (place, database) = (Place::new(), empty().await);
    let mut url = url::Url::parse(&database.url()).unwrap();
    url.set_path("no_such_database");
    url.set_password(Some("hunter2")).unwrap();
    let ran = place.run(&format!("migrate -D {url}"));
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    ran.fails(1, &["refused the connection", "because:", "what to do:"]);
}
