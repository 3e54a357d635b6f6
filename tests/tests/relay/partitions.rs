//! A log in partitions: the relay reads it like any other, and makes room for messages to come.

use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay};
use outbox_tests::servers::PostgresVersion;
use outbox_tests::{TestDatabase, wait_until};

use crate::log::LIMIT;
use crate::postgres::one_relay_beside_writers;

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_arrives_once_and_in_order_from_partitions() {
    for version in PostgresVersion::ALL {
        one_relay_beside_writers(TestDatabase::partitioned_at(version, 2_000).await).await;
    }
}

#[tokio::test]
async fn the_active_relay_makes_room_for_messages_to_come() {
    // GIVEN a log with room for one more message
    let database = TestDatabase::partitioned_at(PostgresVersion::Distribution, 100).await;
    let pool = &database.pool;
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic)
                  SELECT 'order', 'one', 'OrderPlacedV1', 'orders' FROM generate_series(1, $1)";
    sqlx::query(insert).bind(1_599).execute(pool).await.unwrap();

    // WHEN a relay becomes the active one
    let broker = MemoryBroker::new();
    let relay = Relay::builder(PostgresStore::new(pool), broker.publisher());
    let running = relay.build().unwrap().spawn();
    wait_until("room", LIMIT, async || {
        let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'outbox_messages'::regclass";
        let partitions: i64 = sqlx::query_scalar(partitions).fetch_one(pool).await.unwrap();
        (partitions == 31).then_some(())
    })
    .await;

    // THEN writers go on, and all arrives
    sqlx::query(insert).bind(1_401).execute(pool).await.unwrap();
    wait_until("all messages", LIMIT, async || {
        (broker.log().len() == 3_000).then_some(())
    })
    .await;
    running.stop().await.unwrap();
}
