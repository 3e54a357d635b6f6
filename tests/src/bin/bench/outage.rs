//! Kafka goes away while a service writes: its transactions must not notice, and everything arrives afterwards.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outbox_runtime::{
    KafkaPublisher, Outbox, OutboxEvent, OutboxTx, PostgresStore, Relay, RunningRelay, transactional,
};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::KafkaServer;
use outbox_tests::{TestDatabase, wait_until};
use serde::Serialize;
use sqlx::{PgPool, Postgres};
use uuid::Uuid;

const CLIENTS: u32 = 8;

/// Events of one transaction.
const EVENTS: u64 = 10;

/// How long 100,000 events may take to arrive once the broker is back, on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "{topic}", aggregate = "order", key = key)]
struct OrderPlacedV1 {
    #[serde(skip)]
    topic: String,
    key: u64,
    filler: &'static str,
}

/// One row and its events; returns the events' ids.
#[transactional]
async fn place(
    tx: &mut OutboxTx<'_, Postgres>,
    topic: &str,
    number: u64,
) -> Result<Vec<Uuid>, outbox_runtime::BoxError> {
    sqlx::query("INSERT INTO orders (id) VALUES ($1)")
        .bind(number as i64)
        .execute(&mut **tx)
        .await?;
    let mut ids = Vec::new();
    for event in 0..EVENTS {
        let (topic, key) = (topic.to_owned(), (number + event) % 1000);
        ids.push(tx.emit(OrderPlacedV1 {
            topic,
            key,
            filler: "0123456789abcdefghijklmnopqrstuvwxyz",
        })?);
    }
    Ok(ids)
}

pub(crate) async fn run(events: u64) {
    let database = TestDatabase::postgres_with(CLIENTS).await;
    let pool = database.pool.clone();
    sqlx::query("CREATE TABLE orders (id bigint PRIMARY KEY)")
        .execute(&pool)
        .await
        .expect("the table can be made");
    let mut kafka = KafkaServer::start().await;
    let topic = Topic::create_at(&kafka.brokers(), "outage", 6, &[]).await;
    let relay = relay(&pool, &kafka.brokers());
    let transactions = events / EVENTS;
    let events = transactions * EVENTS;
    println!(
        "{transactions} transactions of one row and {EVENTS} events each way, {CLIENTS} clients, the relay in the same process"
    );

    let (mut ids, with_kafka) = write(&pool, topic.name(), 0..transactions).await;
    println!("Kafka up:   {with_kafka}");
    wait_until("all events to arrive", LIMIT, async || {
        arrived(&topic, events).await
    })
    .await;

    kafka.kill();
    let (more, without_kafka) = write(&pool, topic.name(), transactions..2 * transactions).await;
    println!("Kafka down: {without_kafka}");
    ids.extend(more);
    kafka.restart().await;
    let back = Instant::now();
    wait_until("all events to arrive", LIMIT, async || {
        arrived(&topic, 2 * events).await
    })
    .await;
    println!(
        "all there {:.1} s after Kafka was back",
        back.elapsed().as_secs_f64()
    );

    relay.stop().await.expect("the relay ends well");
    let delivered: Vec<_> = topic
        .read_all()
        .await
        .iter()
        .map(|record| record.event_id())
        .collect();
    let distinct: HashSet<_> = delivered.iter().flatten().copied().collect();
    let lost = ids.iter().filter(|id| !distinct.contains(id)).count();
    let dead: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_dead_letters")
        .fetch_one(&pool)
        .await
        .expect("the dead letters can be counted");
    println!(
        "committed {}, delivered {}, lost {lost}, twice {}, in the dead letters {dead}",
        ids.len(),
        distinct.len(),
        delivered.len() - distinct.len()
    );
    assert!(lost == 0 && dead == 0, "an outage cost events");
}

async fn arrived(topic: &Topic, events: u64) -> Option<()> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    (topic.end_offset().await as u64 >= events).then_some(())
}

fn relay(pool: &PgPool, brokers: &str) -> RunningRelay {
    let publisher = KafkaPublisher::builder(brokers)
        .build()
        .expect("the properties are right");
    let relay = Relay::builder(PostgresStore::new(pool), publisher).build();
    relay.expect("the configuration is right").spawn()
}

/// How long transactions took.
struct Latencies {
    sorted: Vec<Duration>,
    took: Duration,
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.sorted[(self.sorted.len() as f64 * share) as usize].as_secs_f64() * 1e3;
        write!(
            formatter,
            "{:.0} transactions/s, latency p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            self.sorted.len() as f64 / self.took.as_secs_f64(),
            at(0.5),
            at(0.99),
            at(0.999)
        )
    }
}

/// Writes the numbered transactions, and returns the ids of their events.
async fn write(pool: &PgPool, topic: &str, numbers: std::ops::Range<u64>) -> (Vec<Uuid>, Latencies) {
    let outbox = Outbox::new(pool.clone());
    let next = Arc::new(AtomicU64::new(numbers.start));
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (outbox, next, topic, end) =
                (outbox.clone(), Arc::clone(&next), topic.to_owned(), numbers.end);
            tokio::spawn(async move {
                let mut written = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return written;
                    }
                    let began = Instant::now();
                    let ids = place(&outbox, &topic, number).await.expect("it is committed");
                    written.push((ids, began.elapsed()));
                }
            })
        })
        .collect();
    let mut written = Vec::new();
    for client in clients {
        written.extend(client.await.expect("no client panics"));
    }
    let took = started.elapsed();
    let mut sorted: Vec<_> = written.iter().map(|(_, latency)| *latency).collect();
    sorted.sort_unstable();
    (
        written.into_iter().flat_map(|(ids, _)| ids).collect(),
        Latencies { sorted, took },
    )
}
