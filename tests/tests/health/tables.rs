//! What is wrong with the tables or the database, without a relay.

use std::time::Duration;

use outbox_runtime::health::{HealthConfig, HealthStatus, Reason};
use outbox_runtime::{Health, Outbox};
use outbox_tests::program::{Ran, command};
use outbox_tests::servers::PostgresVersion;
use outbox_tests::{NextTables, TestDatabase};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Postgres};

use crate::scene::{commit, names, strict, usual};

async fn run(database: &TestDatabase<Postgres>, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&database.pool)
        .await
        .unwrap();
}

/// The health as seen through a pool whose sessions begin with this setting.
async fn with_setting(database: &TestDatabase<Postgres>, setting: (&str, &str)) -> Health {
    let options = database
        .pool
        .connect_options()
        .as_ref()
        .clone()
        .options([setting]);
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    Outbox::new(pool).health_with(&usual()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_has_written_messages_is_missed_when_it_stays_open() {
    let database = TestDatabase::postgres().await;
    let outbox = Outbox::new(database.pool.clone());
    let url = database.url();
    let mut reader = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    let select = "SELECT count(*) FROM outbox_messages";
    sqlx::query(select).execute(&mut *reading).await.unwrap();
    assert_eq!(names(&outbox.health_with(&strict()).await), [""; 0]);

    let mut writer = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut writing = writer.begin().await.unwrap();
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic)
                  VALUES ('order', 'k', 'OrderPlacedV1', 'orders')";
    sqlx::query(insert).execute(&mut *writing).await.unwrap();
    let health = outbox.health_with(&strict()).await;
    assert_eq!(names(&health), ["long_transaction"]);
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(names(&outbox.health_with(&usual()).await), [""; 0]);
    writing.rollback().await.unwrap();
    assert_eq!(names(&outbox.health_with(&strict()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_run_out_first_for_later_messages_and_then_for_the_next_one() {
    let database = TestDatabase::partitioned_at(PostgresVersion::Distribution, 1_000).await;
    let outbox = Outbox::new(database.pool.clone());
    let health = outbox.health_with(&usual()).await;
    assert_eq!(names(&health), [""; 0]);
    let room = health.log.and_then(|log| log.partitions).unwrap();
    assert!(
        room.messages_left >= 2_000 && room.partition_messages == 1_000,
        "{room:?}"
    );

    let next = |left: u64| {
        let used = room.messages_left - left;
        format!("SELECT setval(pg_get_serial_sequence('outbox_messages', 'seq'), {used})")
    };
    run(&database, &next(2_001)).await;
    assert_eq!(names(&outbox.health_with(&usual()).await), [""; 0]);
    run(&database, &next(1_500)).await;
    let few = outbox.health_with(&usual()).await;
    assert_eq!(
        (few.status, names(&few)),
        (HealthStatus::Degraded, vec!["partitions_run_out".to_owned()])
    );
    run(&database, &next(0)).await;
    let none = outbox.health_with(&usual().partitions_ahead(0)).await;
    assert!(
        matches!(
            &none.reasons[..],
            [Reason::PartitionsRunOut { messages_left: 0, .. }]
        ),
        "{none:?}"
    );
    assert_eq!(none.status, HealthStatus::Unhealthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_tables_degrades_and_missing_ones_are_unhealthy() {
    let database = TestDatabase::postgres().await;
    let outbox = Outbox::new(database.pool.clone());
    let health = outbox.health_with(&usual()).await;
    assert_eq!(names(&health), [""; 0]);
    let bytes = health.log.unwrap().table_bytes;
    assert_eq!(
        names(&outbox.health_with(&usual().table_bytes(bytes - 1)).await),
        ["table_size"]
    );

    run(&database, &NextTables::LeaveThisOne.migration()).await;
    let added = outbox.health_with(&usual()).await;
    assert!(added.reasons.is_empty() && added.log.is_some(), "{added:?}");

    run(&database, "INSERT INTO outbox_schema (version) VALUES (999)").await;
    let newer = outbox.health_with(&usual()).await;
    assert!(
        matches!(
            &newer.reasons[..],
            [Reason::SchemaVersionDiffers { found: 999, .. }]
        ),
        "{newer:?}"
    );
    assert_eq!(newer.status, HealthStatus::Degraded);

    run(&database, "DROP TABLE outbox_schema").await;
    let missing = outbox.health_with(&usual()).await;
    assert_eq!(
        (missing.status, names(&missing)),
        (HealthStatus::Unhealthy, vec!["tables_missing".to_owned()])
    );
}

/// A role without rights to read the log can still write to it; a database that takes no writes cannot be written to.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_degrades_and_what_cannot_be_written_is_unhealthy() {
    let database = TestDatabase::postgres().await;
    let role = with_setting(&database, ("role", "pg_read_all_stats")).await;
    assert_eq!(
        (role.status, names(&role)),
        (HealthStatus::Degraded, vec!["log_unreadable".to_owned()])
    );
    assert!(
        role.reasons[0].to_string().contains("permission denied"),
        "{role:?}"
    );

    let read_only = with_setting(&database, ("default_transaction_read_only", "on")).await;
    assert_eq!(names(&read_only), ["database_read_only"]);
    assert_eq!(read_only.status, HealthStatus::Unhealthy);

    run(&database, "DELETE FROM outbox_cursor").await;
    let lost = Outbox::new(database.pool.clone()).health_with(&usual()).await;
    assert_eq!(
        (lost.status, names(&lost)),
        (HealthStatus::Degraded, vec!["log_unreadable".to_owned()])
    );
    assert!(lost.reasons[0].to_string().contains("outbox adopt"), "{lost:?}");
}

/// Not even a lock on the table keeps the answer back.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_is_given_up_in_time_and_the_service_stays_ready() {
    let database = TestDatabase::postgres().await;
    let mut locker = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let mut locking = locker.begin().await.unwrap();
    let lock = "LOCK TABLE outbox_dead_letters IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *locking).await.unwrap();
    let config = HealthConfig::new().timeout(Duration::from_secs(1));
    let health = Outbox::new(database.pool.clone()).health_with(&config).await;
    assert_eq!(
        (health.status, names(&health)),
        (HealthStatus::Degraded, vec!["log_unreadable".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_by_its_exit_code_and_in_json_what_is_wrong() {
    let database = TestDatabase::postgres().await;
    let line = format!("health -D {} --timeout 30s", database.url());
    assert_eq!(Ran::of(&mut command(&line)).await.done(), "healthy\n");
    commit(&database.pool, "orders", 1).await;
    let degraded = Ran::of(&mut command(&format!("{line} --json --max-without-relay 0s"))).await;
    assert_eq!(degraded.code, Some(3), "{degraded:?}");
    let json: serde_json::Value = serde_json::from_str(&degraded.stdout).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["status"], "degraded");
    assert_eq!(json["reasons"][0]["reason"], "no_active_relay");
    assert_eq!(json["reasons"][0]["messages"], 1);
    assert_eq!(json["reasons"][0]["threshold_seconds"], 0.0);
    assert_eq!(json["log"]["backlog"]["messages"], 1);
    let text = Ran::of(&mut command(&format!("{line} --max-backlog 0"))).await;
    assert_eq!(
        (text.code, text.stdout.as_str()),
        (
            Some(3),
            "degraded\ndegraded   1 messages wait for delivery (more than 0)\n"
        )
    );
    run(&database, "DROP TABLE outbox_schema").await;
    assert_eq!(Ran::of(&mut command(&line)).await.code, Some(3));
    let nowhere = Ran::of(&mut command("health -D postgres://postgres@127.0.0.1:1/none")).await;
    nowhere.fails(4, &["cannot be reached"]);
}
