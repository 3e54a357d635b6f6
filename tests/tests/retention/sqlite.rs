//! SQLite.

use std::time::Duration;

use outbox_runtime::retention::{Keep, Pruner, Retention};
use outbox_runtime::store::StoreErrorKind;
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{Relay, SqliteStore};
use outbox_tests::TestDatabase;
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};
use tokio_util::sync::CancellationToken;

use crate::scene::all;

async fn insert(pool: &SqlitePool, count: i64) {
    let insert = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
         INSERT INTO outbox_messages (id, aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
                  || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
                'order', n, 'OrderPlacedV1', 'orders', '{{}}' FROM n"
    );
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(pool).await.unwrap();
}

async fn deliver(database: &TestDatabase<Sqlite>, broker: &MemoryBroker) -> u64 {
    let relay = Relay::builder(SqliteStore::new(&database.pool), broker.publisher());
    relay
        .build()
        .unwrap()
        .drain(CancellationToken::new())
        .await
        .unwrap()
        .delivered
}

async fn number(pool: &SqlitePool, of: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(of.to_owned()))
        .fetch_one(pool)
        .await
        .unwrap()
}

fn pruner(pool: &SqlitePool, retention: Retention) -> Pruner<SqliteStore> {
    Pruner::new(SqliteStore::new(pool), retention).unwrap()
}

#[tokio::test]
async fn what_the_cursor_has_passed_goes_and_nothing_else() {
    let database = TestDatabase::sqlite().await;
    let (pool, broker) = (&database.pool, MemoryBroker::new());
    insert(pool, 20).await;
    assert_eq!(pruner(pool, all()).run_once().await.unwrap().messages, 0);
    deliver(&database, &broker).await;
    insert(pool, 5).await;
    assert_eq!(pruner(pool, all()).dry_run().await.unwrap().messages, 20);
    assert_eq!(number(pool, "SELECT count(*) FROM outbox_messages").await, 25);
    let day = Retention::off().keep(Keep::For(Duration::from_secs(86_400)));
    assert_eq!(pruner(pool, day.clone()).run_once().await.unwrap().messages, 0);
    sqlx::raw_sql(
        "UPDATE outbox_messages SET occurred_at = '2020-01-01T00:00:00Z' WHERE seq <= 7 OR seq > 20",
    )
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(pruner(pool, day.batch(3)).run_once().await.unwrap().messages, 7);
    let tiny = Retention::off().max_bytes(Some(1)).batch(3);
    assert_eq!(pruner(pool, tiny).run_once().await.unwrap().messages, 13);
    assert_eq!(
        number(pool, "SELECT count(*) FROM outbox_messages WHERE seq > 20").await,
        5
    );
    // Numbers go on, so nothing that comes is taken for delivered.
    assert_eq!(deliver(&database, &broker).await, 5);
    assert_eq!(pruner(pool, all()).run_once().await.unwrap().messages, 5);
    insert(pool, 1).await;
    assert_eq!(deliver(&database, &broker).await, 1);
}

#[tokio::test]
async fn where_the_numbers_went_back_nothing_is_deleted() {
    let database = TestDatabase::sqlite().await;
    let (pool, broker) = (&database.pool, MemoryBroker::new());
    insert(pool, 20).await;
    deliver(&database, &broker).await;
    pruner(pool, all()).run_once().await.unwrap();
    sqlx::raw_sql("DELETE FROM sqlite_sequence")
        .execute(pool)
        .await
        .unwrap();
    insert(pool, 3).await;
    let error = pruner(pool, all()).run_once().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Undecided, "{error}");
    assert_eq!(number(pool, "SELECT count(*) FROM outbox_messages").await, 3);
}

#[tokio::test]
async fn a_file_that_may_shrink_does() {
    let database = TestDatabase::sqlite_with(1).await;
    let (pool, broker) = (&database.pool, MemoryBroker::new());
    sqlx::raw_sql("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
        .execute(pool)
        .await
        .unwrap();
    insert(pool, 2_000).await;
    deliver(&database, &broker).await;
    let pages = "PRAGMA page_count";
    let before = number(pool, pages).await;
    pruner(pool, all()).run_once().await.unwrap();
    let after = number(pool, pages).await;
    assert!(after < before, "{before} pages, then {after}");
}
