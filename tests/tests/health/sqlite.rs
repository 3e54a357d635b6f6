//! The same for SQLite, which has one writer, no partitions and no server.

use outbox_runtime::Outbox;
use outbox_runtime::health::HealthStatus;
use outbox_tests::{NextTables, TestDatabase};
use sqlx::AssertSqlSafe;

use crate::scene::{names, strict, usual};

#[tokio::test(flavor = "multi_thread")]
async fn reasons_of_a_log_in_a_file() {
    let database = TestDatabase::sqlite().await;
    let outbox = Outbox::new(database.pool.clone());
    assert_eq!(names(&outbox.health_with(&strict()).await), [""; 0]);
    let run = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    };
    run(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         VALUES ('order', 'k', 'OrderPlacedV1', 'orders', '{}')",
    )
    .await;
    let waiting = outbox.health_with(&strict()).await;
    assert_eq!(names(&waiting), ["backlog", "oldest_message", "no_active_relay"]);
    assert_eq!(names(&outbox.health_with(&usual()).await), [""; 0]);
    run("UPDATE outbox_lease SET holder = 'host:7', ttl_ms = 60000, renewed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')").await;
    run("UPDATE outbox_cursor SET updated_at = '2020-01-01T00:00:00.000Z'").await;
    let stuck = outbox.health_with(&strict()).await;
    assert_eq!(
        names(&stuck),
        ["backlog", "oldest_message", "nothing_acknowledged"]
    );

    run("UPDATE outbox_cursor SET high = 1").await;
    run("INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, content_type, occurred_at, state, reason, error)
         SELECT id || column1, seq, aggregate_type, aggregate_id, event_type, column1, content_type, occurred_at, column2, column3, 'none'
         FROM outbox_messages, (VALUES ('a', 'dead', 'too_large'), ('b', 'parked', 'topic'), ('c', 'parked', 'behind_dead'))").await;
    let degraded = outbox.health_with(&strict()).await;
    assert_eq!(names(&degraded), ["dead_letters", "topic_suspended"]);
    assert_eq!(degraded.status, HealthStatus::Degraded);
    let parked = degraded.log.unwrap().parked;
    let counts: Vec<_> = parked
        .iter()
        .map(|topic| (topic.topic.as_str(), topic.suspended, topic.behind_dead))
        .collect();
    assert_eq!(counts, [("b", 1, 0), ("c", 0, 1)]);

    sqlx::raw_sql(AssertSqlSafe(NextTables::LeaveThisOne.migration()))
        .execute(&database.pool)
        .await
        .unwrap();
    let added = outbox.health_with(&usual()).await;
    assert_eq!(
        names(&added),
        ["dead_letters", "topic_suspended"],
        "nothing is wrong with the version"
    );
    run("INSERT INTO outbox_schema (version) VALUES (999)").await;
    assert_eq!(
        names(&outbox.health_with(&usual()).await),
        ["schema_version_differs"]
    );
    run("DROP TABLE outbox_schema").await;
    let missing = outbox.health_with(&usual()).await;
    assert_eq!(
        (missing.status, names(&missing)),
        (HealthStatus::Unhealthy, vec!["tables_missing".to_owned()])
    );
}
