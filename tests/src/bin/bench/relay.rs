//! The relay's rate, in both modes of delivery, beside that of librdkafka alone, with the same records and the same
//! headers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outbox_runtime::{
    DeliveryMode, KafkaPublisher, KafkaPublisherBuilder, PostgresStore, Relay, RelayConfig,
};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, ProducerContext, ThreadedProducer};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{cpu, log};

const ROUNDS: usize = 5;

/// Relays that start, of each mode.
const STARTS: usize = 60;

/// What each of them sends.
const FEW: u64 = 10;

/// The requests that librdkafka has on its way to each broker where nothing is said.
pub(crate) const IN_FLIGHT: u32 = 5;

pub(crate) async fn run(brokers: &str, messages: u64) {
    let database = TestDatabase::postgres().await;
    let pool = database.pool.clone();
    println!("{messages} messages of 512 bytes, 1,000 keys, 6 partitions, {ROUNDS} rounds in turn");
    warm_up(&pool, brokers, messages).await;
    start(&pool, brokers).await;
    let (mut alone, mut relayed, mut once) = (Vec::new(), Vec::new(), Vec::new());
    let (mut once_ratios, mut ratios) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let by_relay = drain_filled(&pool, brokers, messages, DeliveryMode::AtLeastOnce).await;
        let exactly_once = drain_filled(&pool, brokers, messages, DeliveryMode::ExactlyOnce).await;
        let by_producer = alone_to_new(brokers, messages).await;
        let once_ratio = exactly_once.rate / by_relay.rate;
        let ratio = by_relay.rate / by_producer.rate;
        println!(
            "round {round}: relay {by_relay}, exactly once {exactly_once} (ratio {once_ratio:.2}), librdkafka alone \
             {by_producer} (ratio {ratio:.2})"
        );
        once.push(exactly_once.rate);
        relayed.push(by_relay.rate);
        alone.push(by_producer.rate);
        once_ratios.push(once_ratio);
        ratios.push(ratio);
    }
    println!(
        "medians: relay {:.0}/s, exactly once {:.0}/s (of the ratios {:.2}), librdkafka alone {:.0}/s (of the ratios \
         {:.2}); peak memory of this process {} MB",
        median(&mut relayed),
        median(&mut once),
        median(&mut once_ratios),
        median(&mut alone),
        median(&mut ratios),
        cpu::peak_memory() / 1_000_000
    );
}

/// How long a relay takes that starts, sends a few messages and ends.
async fn start(pool: &PgPool, brokers: &str) {
    for (mode, delivery) in [
        ("at least once", DeliveryMode::AtLeastOnce),
        ("exactly once", DeliveryMode::ExactlyOnce),
    ] {
        let mut took = Vec::new();
        for _ in 0..STARTS {
            let measured = drain_filled(pool, brokers, FEW, delivery).await;
            took.push(FEW as f64 / measured.rate * 1e3);
        }
        took.sort_by(f64::total_cmp);
        println!(
            "{STARTS} relays that send {FEW} messages, {mode}: median {:.0} ms, 19 of 20 within {:.0} ms, the longest {:.0} ms",
            took[STARTS / 2],
            took[STARTS * 95 / 100],
            took[STARTS - 1]
        );
    }
}

/// A broker that has started just now compiles its code while it serves, which takes a core for seconds; transactions
/// have code of their own. It also creates its internal topics once: that of cursors and that of transactions.
async fn warm_up(pool: &PgPool, brokers: &str, messages: u64) {
    for delivery in [DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce] {
        drain_filled(pool, brokers, messages, delivery).await;
    }
    alone_to_new(brokers, messages).await;
}

async fn drain_filled(pool: &PgPool, brokers: &str, messages: u64, delivery: DeliveryMode) -> Measured {
    let topic = Topic::create_at(brokers, "bench", 6, &[]).await;
    log::fill(pool, &[topic.name().to_owned()], messages).await;
    let measured = measure(messages, relay(pool, brokers, delivery)).await;
    topic.delete().await;
    measured
}

async fn alone_to_new(brokers: &str, messages: u64) -> Measured {
    let topic = Topic::create_at(brokers, "bench", 6, &[]).await;
    let measured = measure(messages, alone_to(brokers, &topic, messages)).await;
    topic.delete().await;
    measured
}

async fn alone_to(brokers: &str, topic: &Topic, messages: u64) {
    let (brokers, topics) = (brokers.to_owned(), [topic.name().to_owned()]);
    let produced = tokio::task::spawn_blocking(move || produce(&brokers, &topics, messages, IN_FLIGHT));
    produced.await.expect("no panic");
}

pub(crate) struct Measured {
    pub(crate) rate: f64,
    cpu_per_message: Duration,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:.0}/s with {:.1} us of CPU each",
            self.rate,
            self.cpu_per_message.as_secs_f64() * 1e6
        )
    }
}

pub(crate) async fn measure(messages: u64, work: impl Future<Output = ()>) -> Measured {
    let (start, spent) = (Instant::now(), cpu::spent());
    work.await;
    let count = u32::try_from(messages).expect("not that many");
    Measured {
        rate: messages as f64 / start.elapsed().as_secs_f64(),
        cpu_per_message: (cpu::spent() - spent) / count,
    }
}

async fn relay(pool: &PgPool, brokers: &str, delivery: DeliveryMode) {
    drain(pool, KafkaPublisher::builder(brokers), delivery).await;
}

/// Sends everything that the log holds.
pub(crate) async fn drain(pool: &PgPool, publisher: KafkaPublisherBuilder, delivery: DeliveryMode) {
    let publisher = publisher.build().expect("the properties are right");
    let config = RelayConfig::new().delivery(delivery);
    let mut relay = Relay::builder(PostgresStore::new(pool), publisher)
        .config(config)
        .build()
        .expect("the configuration is right");
    relay
        .drain(CancellationToken::new())
        .await
        .expect("the relay ends well");
}

/// What an application would do that only had to send: the same headers, a delivery report for each record.
pub(crate) fn produce(brokers: &str, topics: &[String], messages: u64, in_flight: u32) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all");
    config
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", "0");
    config
        .set("queue.buffering.max.messages", "0")
        .set("max.in.flight", in_flight.to_string());
    let producer: ThreadedProducer<Count> = config
        .create_with_context(Count(AtomicU64::new(0)))
        .expect("the properties are right");
    let filler = "x".repeat(475);
    let context = rdkafka::producer::Producer::context(&producer).clone();
    for number in 1..=messages {
        while number - context.0.load(Ordering::Relaxed) > 20_000 {
            std::thread::sleep(Duration::from_micros(100));
        }
        let value = format!("{{\"number\":{number:>12},\"filler\":\"{filler}\"}}");
        let key = format!("customer-{}", number % 1000);
        let topic = &topics[number as usize % topics.len()];
        let record = BaseRecord::to(topic)
            .key(&key)
            .payload(&value)
            .timestamp(1_700_000_000_000)
            .headers(headers(number));
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("the record is taken");
    }
    while context.0.load(Ordering::Relaxed) < messages {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Those of a message.
fn headers(number: u64) -> OwnedHeaders {
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = Uuid::from_u128(u128::from(number))
        .hyphenated()
        .encode_lower(&mut id);
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &*id),
        ("ce_source", "/bench"),
        ("ce_type", "OrderPlacedV1"),
        ("content-type", "application/json"),
    ];
    headers
        .into_iter()
        .fold(OwnedHeaders::new_with_capacity(8), |headers, (key, value)| {
            let value = Some(value);
            headers.insert(Header { key, value })
        })
}

struct Count(AtomicU64);

impl ClientContext for Count {}

impl ProducerContext<NoCustomPartitioner> for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        assert!(result.is_ok(), "{result:?}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
