//! The relay beside librdkafka over a distance, which proxies in between stand for: how fast a log is drained, and how
//! long an event takes to a consumer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outbox_runtime::{DeliveryMode, KafkaPublisher, KafkaPublisherBuilder};
use outbox_tests::TestDatabase;
use outbox_tests::delay::DelayProxy;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::KafkaServer;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::PgPool;
use uuid::Uuid;

use crate::latency::{self, Case, Latencies, Times, WARM_UP};
use crate::{log, relay};

const PARTITIONS: i32 = 60;

/// Each way, in microseconds.
const DISTANCES: [u64; 4] = [0, 500, 2_500, 10_000];

/// Events a second, whose latency is measured.
const RATES: [u32; 2] = [500, 2_000];

struct Line {
    each_way: Duration,
    /// The brokers as they are reached over the distance.
    far: String,
    /// The brokers as consumers reach them.
    direct: String,
    _proxy: DelayProxy,
}

pub(crate) async fn run(messages: u64, seconds: u64) {
    let database = TestDatabase::postgres().await;
    let (kafka, lines) = lines().await;
    println!(
        "{messages} messages of 512 bytes, 1,000 keys, {PARTITIONS} partitions; {seconds} s of each stream"
    );
    for line in &lines {
        println!("--- {:?} each way", line.each_way);
        drains(&database.pool, line, messages).await;
        for rate in RATES {
            streams(&database.pool, line, rate, u64::from(rate) * seconds).await;
        }
    }
    drop(kafka);
}

/// A broker at all distances.
async fn lines() -> (KafkaServer, Vec<Line>) {
    let mut reserved = Vec::new();
    for _ in DISTANCES {
        reserved.push(DelayProxy::reserve().await);
    }
    let advertised: Vec<u16> = reserved.iter().map(|proxy| proxy.port()).collect();
    let (kafka, ports) = KafkaServer::start_with_listeners(&advertised).await;
    let reserved = reserved.into_iter().zip(ports).zip(DISTANCES);
    let lines = reserved.map(|((proxy, port), micros)| {
        let each_way = Duration::from_micros(micros);
        let proxy = proxy.forward(port, each_way);
        Line {
            each_way,
            far: format!("127.0.0.1:{}", proxy.port()),
            direct: kafka.brokers(),
            _proxy: proxy,
        }
    });
    let lines = lines.collect();
    (kafka, lines)
}

fn relays(line: &Line) -> [(String, KafkaPublisherBuilder); 4] {
    [1, 4, 8, 16].map(|producers| {
        let publisher = KafkaPublisher::builder(&line.far).producers(producers);
        (format!("relay, {producers} producers"), publisher)
    })
}

async fn drains(pool: &PgPool, line: &Line, messages: u64) {
    for (name, publisher) in relays(line) {
        let topic = Topic::create_at(&line.direct, "bench", PARTITIONS, &[]).await;
        log::fill(pool, &[topic.name().to_owned()], messages).await;
        let drain = relay::drain(pool, publisher, DeliveryMode::AtLeastOnce);
        println!("drain, {name}: {}", relay::measure(messages, drain).await);
        topic.delete().await;
    }
    for in_flight in [1, relay::IN_FLIGHT] {
        let topic = Topic::create_at(&line.direct, "bench", PARTITIONS, &[]).await;
        let (far, topics) = (line.far.clone(), [topic.name().to_owned()]);
        let alone = tokio::task::spawn_blocking(move || relay::produce(&far, &topics, messages, in_flight));
        let alone = async { alone.await.expect("no panic") };
        let measured = relay::measure(messages, alone).await;
        println!("drain, librdkafka with {in_flight} in flight: {measured}");
        topic.delete().await;
    }
}

async fn streams(pool: &PgPool, line: &Line, per_second: u32, events: u64) {
    for (name, publisher) in relays(line) {
        let case = Case {
            pool,
            direct: &line.direct,
            partitions: PARTITIONS,
            replicas: 1,
            per_second,
            events,
            woken: true,
            delivery: DeliveryMode::AtLeastOnce,
        };
        let latencies = latency::measure(&case, publisher).await;
        println!("{per_second} events/s, {name}: {latencies}");
    }
    for in_flight in [1, relay::IN_FLIGHT] {
        let latencies = alone(line, per_second, events, in_flight).await;
        println!("{per_second} events/s, librdkafka with {in_flight} in flight: {latencies}");
    }
}

/// The same stream by librdkafka alone, from the hand-over to a consumer.
async fn alone(line: &Line, per_second: u32, events: u64, in_flight: u32) -> Latencies {
    let topic = Topic::create_at(&line.direct, "latency", PARTITIONS, &[]).await;
    let times = Times::default();
    let all = events as usize + WARM_UP;
    let consumer = latency::consume(&line.direct, topic.name(), PARTITIONS, Arc::clone(&times), all);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &line.far)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random")
        .set("max.in.flight", in_flight.to_string());
    let producer: FutureProducer = config.create().expect("the properties are right");
    let payload = "x".repeat(400);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    for number in 0..all {
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
