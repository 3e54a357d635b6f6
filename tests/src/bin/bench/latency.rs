//! From the commit to a consumer that reads committed records, with a relay embedded in the service that writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outbox_runtime::{
    DeliveryMode, KafkaPublisher, Outbox, OutboxEvent, OutboxTx, PostgresStore, Relay, RelayConfig,
    RelayWaker,
};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;
use sqlx::Postgres;
use uuid::Uuid;

const PER_SECOND: u32 = 200;
const WARM_UP: usize = 400;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "{topic}", aggregate = "order", key = key)]
struct OrderPlacedV1 {
    #[serde(skip)]
    topic: String,
    key: String,
    filler: String,
}

/// When each event was committed, and when it arrived.
type Times = Arc<Mutex<HashMap<Uuid, (Option<Instant>, Option<Instant>)>>>;

pub(crate) async fn run(brokers: &str, events: u64) {
    let database = TestDatabase::postgres().await;
    let pool = database.pool.clone();
    let (at_least_once, exactly_once) = (DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce);
    for (name, woken, delivery) in [
        ("woken after commit", true, at_least_once),
        ("by polling alone", false, at_least_once),
        ("exactly once, woken after commit", true, exactly_once),
    ] {
        let times = Times::default();
        let topic = Topic::create_at(brokers, "latency", 6, &[]).await;
        let consumer = consume(
            brokers,
            topic.name(),
            Arc::clone(&times),
            events as usize + WARM_UP,
        );
        let outbox = Outbox::new(pool.clone());
        let publisher = KafkaPublisher::builder(brokers)
            .build()
            .expect("the properties are right");
        let waker = if woken {
            outbox.waker().clone()
        } else {
            RelayWaker::new()
        };
        let relay = Relay::builder(PostgresStore::new(&pool), publisher).waker(waker);
        let relay = relay
            .config(RelayConfig {
                delivery,
                ..RelayConfig::default()
            })
            .build()
            .expect("the configuration is right")
            .spawn();
        write(&outbox, topic.name(), events as usize + WARM_UP, &times).await;
        consumer.await.expect("no panic");
        relay.stop().await.expect("the relay ends well");
        topic.delete().await;
        let mut latencies: Vec<Duration> = times
            .lock()
            .expect("no panic")
            .values()
            .filter_map(|(committed, arrived)| {
                Some(arrived.as_ref()?.saturating_duration_since((*committed)?))
            })
            .collect();
        latencies.sort_unstable();
        let at =
            |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
        println!(
            "commit to consumer at {PER_SECOND} events/s, {name}: p50 {:.1} ms, p99 {:.1} ms, greatest {:.1} ms ({} events)",
            at(0.5),
            at(0.99),
            at(1.0),
            latencies.len()
        );
    }
}

async fn write(outbox: &Outbox<Postgres>, topic: &str, events: usize, times: &Times) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    for number in 0..events {
        ticks.tick().await;
        let event = OrderPlacedV1 {
            topic: topic.to_owned(),
            key: format!("k{}", number % 100),
            filler: "x".repeat(400),
        };
        let id = outbox
            .transaction(async |tx: &mut OutboxTx<'_, Postgres>| tx.emit(event))
            .await
            .expect("the transaction commits");
        if number >= WARM_UP {
            times.lock().expect("no panic").entry(id).or_default().0 = Some(Instant::now());
        }
    }
}

fn consume(brokers: &str, topic: &str, times: Times, events: usize) -> tokio::task::JoinHandle<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "latency")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer can be made");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..6 {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("0 is a valid offset");
    }
    consumer.assign(&assignment).expect("partitions can be assigned");
    tokio::task::spawn_blocking(move || {
        for _ in 0..events {
            let message = loop {
                if let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
                    break message;
                }
            };
            let arrived = Instant::now();
            let id = message
                .headers()
                .and_then(|headers| headers.iter().find(|header| header.key == "ce_id"));
            let id = id.and_then(|header| std::str::from_utf8(header.value?).ok()?.parse::<Uuid>().ok());
            let id = id.expect("each record has an id");
            times.lock().expect("no panic").entry(id).or_default().1 = Some(arrived);
        }
    })
}
