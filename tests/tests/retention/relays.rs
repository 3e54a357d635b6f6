//! Relays that prune while they deliver to Kafka, beside writers of all kinds.

use std::time::Duration;

use outbox_runtime::{DeliveryMode, KafkaPublisher, PostgresStore, Relay, RelayConfig};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{self, PostgresVersion};
use outbox_tests::writers::Writers;
use outbox_tests::{TestDatabase, wait_until};
use sqlx::Postgres;
use tokio_util::sync::CancellationToken;

use crate::scene::{LIMIT, all};

async fn all_arrives_and_goes(database: TestDatabase<Postgres>, delivery: DeliveryMode, leaves: i64) {
    let pool = &database.pool;
    let topic = Topic::create("retention", 3).await;
    let relay = || {
        let config = RelayConfig::new()
            .delivery(delivery)
            .lease_ttl(Duration::from_secs(2))
            .page_rows(70)
            .persist_interval(Duration::from_millis(30))
            .retention(all().interval(Duration::from_millis(10)).batch(50));
        let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
        Relay::builder(PostgresStore::new(pool), publisher)
            .config(config)
            .build()
            .unwrap()
    };
    let writers = Writers::on(pool, [topic.name()]).transactions(600).start().await;
    let running = relay().spawn();
    let ledger = writers.finish().await;
    let first = running.progress().clone();
    // What settled late is found by the next one, which begins anew.
    running.stop().await.unwrap();
    let running = relay().spawn();
    wait_until("the log to be short", LIMIT, async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages")
            .fetch_one(pool)
            .await
            .unwrap();
        (left <= leaves).then_some(())
    })
    .await;
    assert!(first.pruned() + running.progress().pruned() > 0);
    running.stop().await.unwrap();
    // A log may be short before its last messages are delivered.
    relay().drain(CancellationToken::new()).await.unwrap();
    let report = ledger.check(&topic.read_all().await);
    assert!(report.is_exact(), "{report}");
    assert!(report.committed > 1_000, "too little to prove anything: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_all_arrives_and_goes() {
    all_arrives_and_goes(TestDatabase::postgres().await, DeliveryMode::AtLeastOnce, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_all_arrives_and_goes_from_partitions() {
    let database = TestDatabase::partitioned_at(PostgresVersion::Distribution, 1_000).await;
    all_arrives_and_goes(database, DeliveryMode::ExactlyOnce, 999).await;
}
