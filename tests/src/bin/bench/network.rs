//! The relay beside librdkafka over a distance, which proxies in between stand for: how fast a log is drained, and how
//! long an event takes to a consumer.

use std::time::{Duration, Instant};

use outbox_runtime::{DeliveryMode, KafkaPublisher};
use outbox_tests::TestDatabase;
use outbox_tests::delay::DelayProxy;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::KafkaServer;
use sqlx::PgPool;

use crate::latency::{self, Case};
use crate::{log, relay};

const PARTITIONS: i32 = 60;
const ROUNDS: usize = 3;

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
    println!("a round that warms the broker up:");
    drains(&database.pool, &lines[0], messages).await;
    for line in &lines {
        println!("--- {:?} each way", line.each_way);
        for _ in 0..ROUNDS {
            drains(&database.pool, line, messages).await;
        }
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

async fn drains(pool: &PgPool, line: &Line, messages: u64) {
    let publisher = || KafkaPublisher::builder(&line.far);
    for (name, publisher) in [
        ("relay", publisher()),
        ("relay, 1 producer", publisher().producers(1)),
    ] {
        let topic = Topic::create_at(&line.direct, "bench", PARTITIONS, &[]).await;
        log::fill(pool, &[topic.name().to_owned()], messages).await;
        let drain = relay::drain(pool, publisher, DeliveryMode::AtLeastOnce);
        println!("drain, {name}: {}", relay::measure(messages, drain).await);
        topic.delete().await;
    }
    let started = Instant::now();
    relay::drain(pool, publisher(), DeliveryMode::AtLeastOnce).await;
    println!("{:?} of the relay's time with an empty log", started.elapsed());
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
    let latencies = latency::measure(&case, KafkaPublisher::builder(&line.far)).await;
    println!("{per_second} events/s, relay: {latencies}");
    for in_flight in [1, relay::IN_FLIGHT] {
        let latencies = latency::alone(&case, &line.far, in_flight).await;
        println!("{per_second} events/s, librdkafka with {in_flight} in flight: {latencies}");
    }
}
