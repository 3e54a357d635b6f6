//! The relay beside librdkafka where it is not one broker, a few topics and a near database: three brokers that keep
//! each record three times, a thousand topics, and a database at a distance.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use outbox_runtime::{DeliveryMode, KafkaPublisher};
use outbox_tests::TestDatabase;
use outbox_tests::delay::DelayProxy;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{KafkaCluster, KafkaServer};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::latency::{self, Case};
use crate::{log, relay};

const ROUNDS: usize = 3;
const PARTITIONS: i32 = 60;
const TOPICS: usize = 1_000;

/// Events a second, whose latency is measured.
const PER_SECOND: u32 = 500;

/// Between the relay and its database, each way.
const TO_THE_DATABASE: Duration = Duration::from_millis(5);

pub(crate) async fn run(messages: u64, seconds: u64) {
    let database = TestDatabase::postgres().await;
    let events = u64::from(PER_SECOND) * seconds;
    println!("{messages} messages of 512 bytes, 1,000 keys; {seconds} s of each stream");
    three_brokers(&database.pool, messages, events).await;
    let kafka = KafkaServer::start().await;
    many_topics(&database.pool, &kafka.brokers(), messages).await;
    distant_database(&database.pool, &kafka.brokers(), messages, events).await;
}

async fn three_brokers(pool: &PgPool, messages: u64, events: u64) {
    println!("--- three brokers, each record three times, {PARTITIONS} partitions");
    let folder = std::env::temp_dir();
    let parents = [&folder; KafkaCluster::SIZE].map(PathBuf::as_path);
    let (kafka, _) = KafkaCluster::start(parents, &[]).await;
    let brokers = kafka.addresses();
    for round in 0..=ROUNDS {
        let topic = named(&brokers, PARTITIONS).replicated(3);
        topic.create_again(&[]).await;
        compare(pool, &brokers, &[topic], messages, round).await;
    }
    stream_of_events(pool, &brokers, 3, events).await;
}

async fn many_topics(pool: &PgPool, brokers: &str, messages: u64) {
    println!("--- one broker, {TOPICS} topics of one partition");
    let made = stream::iter(0..TOPICS).map(|_| async {
        let topic = named(brokers, 1);
        topic.create_again(&[]).await;
        topic
    });
    let topics: Vec<Topic> = made.buffer_unordered(8).collect().await;
    for round in 0..=ROUNDS {
        compare(pool, brokers, &topics, messages, round).await;
    }
}

async fn distant_database(pool: &PgPool, brokers: &str, messages: u64, events: u64) {
    println!("--- {TO_THE_DATABASE:?} each way to the database, one broker, {PARTITIONS} partitions");
    let near = pool.connect_options();
    let proxy = DelayProxy::to(near.get_port(), TO_THE_DATABASE).await;
    let far = near.as_ref().clone().host("127.0.0.1").port(proxy.port());
    let far = PgPoolOptions::new().connect_with(far).await;
    let far = far.expect("the database is behind the proxy");
    let topic = named(brokers, PARTITIONS);
    topic.create_again(&[]).await;
    for round in 0..=ROUNDS {
        compare(&far, brokers, std::slice::from_ref(&topic), messages, round).await;
    }
    stream_of_events(&far, brokers, 1, events).await;
}

fn named(brokers: &str, partitions: i32) -> Topic {
    Topic::named(brokers, &format!("bench-{}", Uuid::new_v4().simple()), partitions)
}

/// The relay and librdkafka, one after the other. The first round only warms the brokers up.
async fn compare(pool: &PgPool, brokers: &str, topics: &[Topic], messages: u64, round: usize) {
    let names: Vec<String> = topics.iter().map(|topic| topic.name().to_owned()).collect();
    log::fill(pool, &names, messages).await;
    let publisher = KafkaPublisher::builder(brokers);
    let drain = relay::drain(pool, publisher, DeliveryMode::AtLeastOnce);
    let by_relay = relay::measure(messages, drain).await;
    let to = brokers.to_owned();
    let alone = tokio::task::spawn_blocking(move || relay::produce(&to, &names, messages, relay::IN_FLIGHT));
    let alone = async { alone.await.expect("no panic") };
    let by_producer = relay::measure(messages, alone).await;
    if round > 0 {
        let ratio = by_relay.rate / by_producer.rate;
        println!("round {round}: relay {by_relay}, librdkafka alone {by_producer} (ratio {ratio:.2})");
        let started = Instant::now();
        relay::drain(pool, KafkaPublisher::builder(brokers), DeliveryMode::AtLeastOnce).await;
        println!(
            "round {round}: {:?} of the relay's time with an empty log",
            started.elapsed()
        );
    }
}

async fn stream_of_events(pool: &PgPool, brokers: &str, replicas: i32, events: u64) {
    let case = Case {
        pool,
        direct: brokers,
        partitions: PARTITIONS,
        replicas,
        per_second: PER_SECOND,
        events,
        woken: true,
        delivery: DeliveryMode::AtLeastOnce,
    };
    let latencies = latency::measure(&case, KafkaPublisher::builder(brokers)).await;
    println!("{PER_SECOND} events/s, commit to consumer: {latencies}");
    let latencies = latency::alone(&case, brokers, relay::IN_FLIGHT).await;
    println!("{PER_SECOND} events/s, librdkafka alone: {latencies}");
}
