//! From the commit to a consumer that reads committed records, with a relay embedded in the service that writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outbox_runtime::{
    DeliveryMode, KafkaPublisher, KafkaPublisherBuilder, Outbox, OutboxEvent, OutboxTx, PostgresStore, Relay,
    RelayConfig, RelayWaker,
};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;
use sqlx::{PgPool, Postgres};
use tokio::time::Interval;
use uuid::Uuid;

const PER_SECOND: u32 = 200;
pub(crate) const WARM_UP: usize = 400;
const PARTITIONS: i32 = 6;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "{topic}", aggregate = "order", key = key)]
struct OrderPlacedV1 {
    #[serde(skip)]
    topic: String,
    key: String,
    filler: String,
}

/// When each event was committed, and when it arrived.
pub(crate) type Times = Arc<Mutex<HashMap<Uuid, (Option<Instant>, Option<Instant>)>>>;

pub(crate) async fn run(brokers: &str, events: u64) {
    let database = TestDatabase::postgres().await;
    let pool = database.pool.clone();
    let (at_least_once, exactly_once) = (DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce);
    for (name, woken, delivery) in [
        ("woken after commit", true, at_least_once),
        ("by polling alone", false, at_least_once),
        ("exactly once, woken after commit", true, exactly_once),
    ] {
        let publisher = KafkaPublisher::builder(brokers);
        let latencies = measure(
            &Case {
                pool: &pool,
                direct: brokers,
                partitions: PARTITIONS,
                replicas: 1,
                per_second: PER_SECOND,
                events,
                woken,
                delivery,
            },
            publisher,
        )
        .await;
        println!("commit to consumer at {PER_SECOND} events/s, {name}: {latencies}");
    }
}

/// A stream of events whose latency is measured.
pub(crate) struct Case<'a> {
    pub(crate) pool: &'a PgPool,
    /// The brokers as the consumer and the topic's maker reach them.
    pub(crate) direct: &'a str,
    pub(crate) partitions: i32,
    pub(crate) replicas: i32,
    pub(crate) per_second: u32,
    pub(crate) events: u64,
    pub(crate) woken: bool,
    pub(crate) delivery: DeliveryMode,
}

impl Case<'_> {
    async fn topic(&self) -> Topic {
        let name = format!("latency-{}", Uuid::new_v4().simple());
        let topic = Topic::named(self.direct, &name, self.partitions).replicated(self.replicas);
        topic.create_again(&[]).await;
        topic
    }
}

/// From the commit to a consumer, with a relay in this process.
pub(crate) async fn measure(case: &Case<'_>, publisher: KafkaPublisherBuilder) -> Latencies {
    let (times, topic) = (Times::default(), case.topic().await);
    let all = case.events as usize + WARM_UP;
    let consumer = consume(
        case.direct,
        topic.name(),
        case.partitions,
        Arc::clone(&times),
        all,
    );
    let outbox = Outbox::new(case.pool.clone());
    let publisher = publisher.build().expect("the properties are right");
    let waker = if case.woken {
        outbox.waker().clone()
    } else {
        RelayWaker::new()
    };
    let config = RelayConfig::new().delivery(case.delivery);
    let relay = Relay::builder(PostgresStore::new(case.pool), publisher)
        .waker(waker)
        .config(config)
        .build()
        .expect("the configuration is right")
        .spawn();
    write(&outbox, topic.name(), case.per_second, all, &times).await;
    consumer.await.expect("no panic");
    relay.stop().await.expect("the relay ends well");
    topic.delete().await;
    Latencies::of(&times)
}

/// The same stream by librdkafka alone, from the hand-over to a consumer.
pub(crate) async fn alone(case: &Case<'_>, brokers: &str, in_flight: u32) -> Latencies {
    let (times, topic) = (Times::default(), case.topic().await);
    let all = case.events as usize + WARM_UP;
    let consumer = consume(
        case.direct,
        topic.name(),
        case.partitions,
        Arc::clone(&times),
        all,
    );
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random")
        .set("max.in.flight", in_flight.to_string());
    let producer: FutureProducer = config.create().expect("the properties are right");
    let payload = "x".repeat(400);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / case.per_second);
    for number in 0..all {
        if number == WARM_UP {
            warm(&times, &mut ticks).await;
        }
        ticks.tick().await;
        let (id, key) = (Uuid::now_v7(), format!("k{}", number % 1000));
        let text = id.to_string();
        let headers = OwnedHeaders::new().insert(Header {
            key: "ce_id",
            value: Some(&text),
        });
        let record = FutureRecord::to(topic.name())
            .key(&key)
            .payload(&payload)
            .headers(headers);
        if number >= WARM_UP {
            times.lock().expect("no panic").entry(id).or_default().0 = Some(Instant::now());
        }
        // The consumer notices whether it arrived.
        drop(
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .expect("the record is taken"),
        );
    }
    consumer.await.expect("no panic");
    topic.delete().await;
    Latencies::of(&times)
}

/// How long events took, in order.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn of(times: &Times) -> Self {
        let times = times.lock().expect("no panic");
        let took = times.values().filter_map(|(committed, arrived)| {
            Some(arrived.as_ref()?.saturating_duration_since((*committed)?))
        });
        let mut latencies: Vec<_> = took.collect();
        latencies.sort_unstable();
        Self(latencies)
    }

    fn ms(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "p50 {:.1} ms, p99 {:.1} ms, greatest {:.1} ms ({} events)",
            self.ms(0.5),
            self.ms(0.99),
            self.ms(1.0),
            self.0.len()
        )
    }
}

/// Waits until the first events have arrived: connections are made meanwhile, which take long over a distance.
async fn warm(times: &Times, ticks: &mut Interval) {
    while times.lock().expect("no panic").len() < WARM_UP {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ticks.reset();
}

async fn write(outbox: &Outbox<Postgres>, topic: &str, per_second: u32, events: usize, times: &Times) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    for number in 0..events {
        if number == WARM_UP {
            warm(times, &mut ticks).await;
        }
        ticks.tick().await;
        let event = OrderPlacedV1 {
            topic: topic.to_owned(),
            key: format!("k{}", number % 1000),
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

pub(crate) fn consume(
    brokers: &str,
    topic: &str,
    partitions: i32,
    times: Times,
    events: usize,
) -> tokio::task::JoinHandle<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "latency")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer can be made");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
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
