//! Relays that are broken on purpose. Each must be caught, or the tests around it prove nothing.

use std::collections::HashMap;

use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay, RelayConfig};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::ReadRecord;
use outbox_tests::wait_until;
use outbox_tests::writers::{Ledger, Writers};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::log::{LIMIT, quick};

/// What the textbook's relay does: remember the greatest seq, and read on from there.
struct ReadsPastTheLastSeq {
    last: i64,
    offsets: HashMap<String, i64>,
}

impl ReadsPastTheLastSeq {
    fn new() -> Self {
        Self {
            last: 0,
            offsets: HashMap::new(),
        }
    }

    async fn poll(&mut self, pool: &PgPool) -> Vec<ReadRecord> {
        let rows = sqlx::query(
            "SELECT seq, id, topic, aggregate_id, coalesce(payload_binary, convert_to(payload::text, 'UTF8')),
                    event_type, content_type, headers::text
             FROM outbox_messages WHERE seq > $1 ORDER BY seq",
        )
        .bind(self.last)
        .fetch_all(pool)
        .await
        .unwrap();
        rows.iter()
            .map(|row| {
                self.last = row.get(0);
                let topic: String = row.get(2);
                let offset = self.offsets.entry(topic.clone()).or_default();
                *offset += 1;
                let id: Uuid = row.get(1);
                ReadRecord {
                    topic,
                    partition: 0,
                    offset: *offset - 1,
                    timestamp_ms: None,
                    key: Some(row.get::<String, _>(3).into_bytes()),
                    value: row.get(4),
                    headers: vec![("ce_id".to_owned(), Some(id.to_string().into_bytes()))],
                }
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_reads_past_the_last_seq_is_caught() {
    let database = TestDatabase::postgres().await;
    let writers = Writers::on(&database.pool, ["one"])
        .transactions(600)
        .start()
        .await;
    let mut writing = std::pin::pin!(writers.finish());
    let mut broken = ReadsPastTheLastSeq::new();
    let mut records = Vec::new();
    let ledger = loop {
        tokio::select! {
            ledger = &mut writing => break ledger,
            polled = broken.poll(&database.pool) => records.extend(polled),
        }
    };
    records.extend(broken.poll(&database.pool).await);
    let report = ledger.check(&records);
    assert!(!report.lost.is_empty(), "nobody noticed: {report}");
}

/// A real relay on a broker in memory; what the broker got, as a consumer would read it.
async fn relayed(pool: &PgPool, broker: &MemoryBroker) -> Vec<ReadRecord> {
    let config = RelayConfig {
        page_rows: 50,
        ..quick()
    };
    let relay = Relay::builder(PostgresStore::new(pool), broker.publisher()).config(config);
    relay.build().unwrap().run_once().await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_new_id_on_a_second_send_is_caught() {
    let database = TestDatabase::postgres().await;
    let ledger = written(&database.pool).await;
    let broker = MemoryBroker::new();
    let mut records = relayed(&database.pool, &broker).await;
    assert!(ledger.check(&records).is_exact());
    let mut again = records[3].clone();
    again.offset = records.len() as i64;
    let id = again
        .headers
        .iter_mut()
        .find(|(name, _)| name == "ce_id")
        .unwrap();
    id.1 = Some(Uuid::new_v4().to_string().into_bytes());
    records.push(again);
    let report = ledger.check(&records);
    assert_eq!(report.invented.len(), 1, "nobody noticed: {report}");
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
    let config = RelayConfig {
        page_rows: 50,
        ..quick()
    };
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
