//! Old dead letters.

use std::time::Duration;

use outbox_runtime::retention::{Pruner, Retention};
use outbox_runtime::{PostgresStore, SqliteStore};
use outbox_tests::TestDatabase;

use crate::scene::Scene;

/// An old one, a young one, one that is parked, one that is to be replayed, and one that others wait behind.
const DEAD_LETTERS: [(&str, &str, &str, &str, bool); 6] = [
    ("1", "old", "dead", "2020-01-01T00:00:00Z", false),
    ("2", "young", "dead", "2999-01-01T00:00:00Z", false),
    ("3", "parked", "parked", "2020-01-01T00:00:00Z", false),
    ("4", "wanted", "dead", "2020-01-01T00:00:00Z", true),
    ("5", "blocks", "dead", "2020-01-01T00:00:00Z", false),
    ("6", "blocks", "parked", "2020-01-01T00:00:00Z", false),
];

fn inserts() -> String {
    let rows = DEAD_LETTERS.map(|(seq, key, state, failed, wanted)| {
        let wanted = if wanted { "'2020-01-01T00:00:00Z'" } else { "NULL" };
        format!(
            "INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, content_type,
                                              headers, occurred_at, state, reason, error, last_failed_at, replay_requested_at)
             VALUES ('00000000-0000-0000-0000-00000000000{seq}', {seq}, 'order', '{key}', 'OrderPlacedV1', 'orders',
                     'application/json', '{{}}', '2020-01-01T00:00:00Z', '{state}', 'record', 'why', '{failed}', {wanted});"
        )
    });
    rows.concat()
}

fn retention() -> Retention {
    Retention::off().dead_letters(Some(Duration::from_secs(86_400)))
}

#[tokio::test]
async fn old_dead_letters_go_and_those_that_are_still_needed_stay_in_postgres() {
    let scene = Scene::new().await;
    scene.run(&inserts()).await;
    let pruner = Pruner::new(PostgresStore::new(scene.pool()), retention()).unwrap();
    assert_eq!(pruner.dry_run().await.unwrap().dead_letters, 1);
    assert_eq!(scene.number("count(*) FROM outbox_dead_letters").await, 6);
    assert_eq!(pruner.run_once().await.unwrap().dead_letters, 1);
    assert_eq!(
        scene
            .number("count(*) FROM outbox_dead_letters WHERE seq > 1")
            .await,
        5
    );
    // Once nothing waits behind it, it is as any other.
    scene.run("DELETE FROM outbox_dead_letters WHERE seq = 6").await;
    assert_eq!(pruner.run_once().await.unwrap().dead_letters, 1);
    // By default, they stay for ever.
    scene.prune().await;
    assert_eq!(scene.number("count(*) FROM outbox_dead_letters").await, 3);
}

#[tokio::test]
async fn old_dead_letters_go_and_those_that_are_still_needed_stay_in_sqlite() {
    let database = TestDatabase::sqlite().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(inserts()))
        .execute(&database.pool)
        .await
        .unwrap();
    let pruner = Pruner::new(SqliteStore::new(&database.pool), retention()).unwrap();
    assert_eq!(pruner.dry_run().await.unwrap().dead_letters, 1);
    assert_eq!(pruner.run_once().await.unwrap().dead_letters, 1);
    assert_eq!(pruner.run_once().await.unwrap().dead_letters, 0);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_dead_letters WHERE seq > 1")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(left, 5);
}
