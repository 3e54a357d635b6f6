//! The real relay on a broker that is broken on purpose: it must be caught, or the tests around it prove nothing.
//! Relays that are broken themselves are in `broken_relays.rs`.

use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::ReadRecord;
use outbox_tests::wait_until;
use outbox_tests::writers::{Ledger, Writers};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::log::{LIMIT, quick};

/// A real relay on a broker in memory; what the broker got, as a consumer would read it.
async fn relayed(pool: &PgPool, broker: &MemoryBroker) -> Vec<ReadRecord> {
    let config = quick().page_rows(50);
    let relay = Relay::builder(PostgresStore::new(pool), broker.publisher()).config(config);
    relay
        .build()
        .unwrap()
        .drain(CancellationToken::new())
        .await
        .unwrap();
    in_one_partition(broker)
}

fn in_one_partition(broker: &MemoryBroker) -> Vec<ReadRecord> {
    let records = broker.log().into_iter().enumerate();
    let read = records.map(|(offset, record)| ReadRecord {
        topic: record.topic,
        partition: 0,
        offset: offset as i64,
        timestamp_ms: Some(record.timestamp_ms),
        key: Some(record.key.into_bytes()),
        value: record.value,
        headers: record.headers,
    });
    read.collect()
}

async fn written(pool: &PgPool) -> Ledger {
    Writers::on(pool, ["one"])
        .transactions(100)
        .start()
        .await
        .finish()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_acknowledges_before_delivery_is_caught() {
    let database = TestDatabase::postgres().await;
    let ledger = written(&database.pool).await;
    let broker = MemoryBroker::new();
    broker.acknowledge_before_delivery();
    broker.hold();
    let report = ledger.check(&relayed(&database.pool, &broker).await);
    assert_eq!(
        report.lost.len(),
        ledger.committed.len(),
        "nobody noticed: {report}"
    );
}

/// The same, with the real relay: what is not broken is not caught.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_works_is_not_caught() {
    let database = TestDatabase::postgres().await;
    let writers = Writers::on(&database.pool, ["one"])
        .transactions(600)
        .start()
        .await;
    let broker = MemoryBroker::new();
    let config = quick().page_rows(50);
    let relay = Relay::builder(PostgresStore::new(&database.pool), broker.publisher()).config(config);
    let running = relay.build().unwrap().spawn();
    let ledger = writers.finish().await;
    let committed = ledger.committed.len();
    let arrived = || async { (broker.ids().len() >= committed).then_some(()) };
    wait_until("all events to arrive", LIMIT, arrived).await;
    running.stop().await.unwrap();
    let report = ledger.check(&in_one_partition(&broker));
    assert!(report.is_exact(), "{report}");
}
