//! Messages a second of a consumer on PostgreSQL, with the inbox and without, handlers of one statement.
//!
//! "Without" is a loop as one writes it over rdkafka alone, by a service that takes duplicates as they come: a task
//! for each partition, a transaction for each message. The two take turns, on a topic of their own each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outbox_runtime::{Consumer, Outbox};
use outbox_tests::kafka::Topic;
use outbox_tests::numbers::{Number, Producer};
use outbox_tests::{TestDatabase, wait_until};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::{ClientConfig, Message};
use sqlx::{Executor, PgConnection, PgPool};

const ROUNDS: usize = 5;
const PARTITIONS: i32 = 8;
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) async fn run(brokers: &str, messages: u64) {
    let database = TestDatabase::postgres_with(20).await;
    let table = "CREATE TABLE seen (key text NOT NULL, number bigint NOT NULL)";
    database.pool.execute(table).await.expect("the table can be made");
    println!(
        "{messages} messages, 100 keys, {PARTITIONS} partitions, one INSERT each, {ROUNDS} rounds in turn"
    );
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let with_inbox = measure(brokers, messages, async |topic| {
            by_consumer(&database.pool, brokers, topic, messages).await;
        })
        .await;
        let by_hand = measure(brokers, messages, async |topic| {
            by_hand(&database.pool, brokers, topic, messages).await;
        })
        .await;
        println!(
            "round {round}: consumer with inbox {with_inbox:.0}/s, a loop without {by_hand:.0}/s, ratio {:.2}",
            with_inbox / by_hand
        );
        with.push(with_inbox);
        without.push(by_hand);
    }
    let (with, without) = (median(&mut with), median(&mut without));
    println!(
        "median: consumer with inbox {with:.0}/s, a loop without {without:.0}/s, ratio {:.2}",
        with / without
    );
}

async fn measure(brokers: &str, messages: u64, consume: impl AsyncFnOnce(&str)) -> f64 {
    let topic = Topic::create_at(brokers, "bench", PARTITIONS, &[]).await;
    let mut producer = Producer::new(brokers, topic.name());
    producer.send(messages, 100, 0);
    let started = Instant::now();
    consume(topic.name()).await;
    let rate = messages as f64 / started.elapsed().as_secs_f64();
    topic.delete().await;
    rate
}

async fn handle(connection: &mut PgConnection, number: &Number) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO seen VALUES ($1, $2)")
        .bind(&number.key)
        .bind(number.number)
        .execute(connection)
        .await
        .map(|_| ())
}

async fn by_consumer(pool: &PgPool, brokers: &str, topic: &str, messages: u64) {
    let consumer = Consumer::builder(&Outbox::new(pool.clone()), brokers, topic)
        .topic(topic)
        .on("NumberV1", async |tx, _message, number: Number| {
            handle(tx, &number).await
        })
        .build()
        .expect("the configuration is right")
        .spawn();
    wait_until("all messages to be processed", LIMIT, async || {
        (consumer.progress().report().processed >= messages).then_some(())
    })
    .await;
    consumer.stop().await.expect("it ran");
}

/// What one writes without a toolkit: a task for each partition, one transaction for each message, and offsets
/// stored after it.
async fn by_hand(pool: &PgPool, brokers: &str, topic: &str, messages: u64) {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "200")
        .create()
        .expect("a consumer can be made");
    let consumer = Arc::new(consumer);
    let queues: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            consumer
                .split_partition_queue(topic, partition)
                .expect("each partition has a queue")
        })
        .collect();
    consumer
        .subscribe(&[topic])
        .expect("the topic can be subscribed to");
    let done = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = queues
        .into_iter()
        .map(|queue| {
            let (pool, consumer, done) = (pool.clone(), Arc::clone(&consumer), Arc::clone(&done));
            tokio::spawn(async move {
                loop {
                    let message = queue.recv().await.expect("the broker answers");
                    let payload = message.payload().unwrap_or_default();
                    let number: Number = serde_json::from_slice(payload).expect("it is a number");
                    let mut tx = pool.begin().await.expect("the database answers");
                    handle(&mut tx, &number).await.expect("the database answers");
                    tx.commit().await.expect("the database answers");
                    consumer
                        .store_offset_from_message(&message)
                        .expect("the partition is ours");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let polls = tokio::spawn({
        let consumer = Arc::clone(&consumer);
        async move {
            // Serves rebalances; all messages come by the partitions' own queues.
            let _ = consumer.recv().await;
        }
    });
    wait_until("all messages to be handled", LIMIT, async || {
        (done.load(Ordering::Relaxed) >= messages).then_some(())
    })
    .await;
    for task in workers.iter().chain([&polls]) {
        task.abort();
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
