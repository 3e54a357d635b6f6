//! A steady stream for an hour: what retention leaves in the database, for one table, for partitions, and for a table
//! of the kind that marks its rows and deletes them later. All three run at the same time, on the same servers.

mod mark_and_delete;
mod sample;
mod toolkit;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{self, PostgresVersion};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use sqlx::Postgres;

use self::sample::Samples;
use crate::chart::{self, Chart};

/// Events of one transaction, and transactions of a second: 2,000 events a second for each table.
const EVENTS: usize = 20;
const TRANSACTIONS: u32 = 100;

/// How long a delivered event is kept.
const KEEP: Duration = Duration::from_secs(60);
const PARTITION_ROWS: u32 = 100_000;
const PARTITIONS: i32 = 6;

/// Points of a line.
const POINTS: u32 = 180;

/// One of the three.
struct Subject {
    name: &'static str,
    database: TestDatabase<Postgres>,
    topic: Topic,
    /// The table whose size is looked at, with its partitions.
    table: &'static str,
}

impl Subject {
    async fn new(name: &'static str, database: TestDatabase<Postgres>, table: &'static str) -> Self {
        // A broker that keeps all of it would fill the disk.
        let settings = [("retention.ms", "120000"), ("segment.bytes", "50000000")];
        let topic = Topic::create_at(&servers::brokers(), "stream", PARTITIONS, &settings).await;
        Self {
            name,
            database,
            topic,
            table,
        }
    }
}

/// Runs for this long, and draws what it saw into this file.
pub(crate) async fn run(duration: Duration, file: &Path) {
    let plain = Subject::new("one table", TestDatabase::postgres().await, "outbox_messages").await;
    let database = TestDatabase::partitioned_at(PostgresVersion::Distribution, PARTITION_ROWS).await;
    let partitioned = Subject::new("partitions", database, "outbox_messages").await;
    let marked = Subject::new(
        "mark and delete",
        TestDatabase::postgres().await,
        mark_and_delete::TABLE,
    )
    .await;
    mark_and_delete::create(&marked).await;

    let started = Instant::now();
    let (plain_samples, partitioned_samples, marked_samples) = tokio::join!(
        toolkit::stream(&plain, duration),
        toolkit::stream(&partitioned, duration),
        mark_and_delete::stream(&marked, duration),
    );
    println!(
        "{} events/s for each, {:.0?}",
        TRANSACTIONS as usize * EVENTS,
        started.elapsed()
    );
    let all = [
        (&plain, plain_samples),
        (&partitioned, partitioned_samples),
        (&marked, marked_samples),
    ];
    for (subject, samples) in &all {
        samples.print(subject.name);
    }
    let charts = sample::MEASURES.map(|measure| Chart {
        title: measure.title.to_owned(),
        unit: measure.unit.to_owned(),
        lines: all
            .iter()
            .map(|(subject, samples)| (subject.name.to_owned(), samples.line(measure)))
            .collect(),
    });
    std::fs::write(file, chart::svg(&charts)).expect("the picture can be written");
    println!("drew {}", file.display());
}

/// Milliseconds since 1970, with fractions.
fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_secs_f64() * 1000.0
}

/// A payload that says when it was written, of some 300 bytes.
fn payload() -> String {
    format!("{{\"at\":{:.3},\"filler\":\"{}\"}}", now(), "x".repeat(270))
}

/// What arrived since it was looked at, and in all.
#[derive(Default)]
struct Arrived {
    milliseconds: Vec<f64>,
    total: u64,
}

/// Reads the topic until it is dropped.
struct Reading {
    arrived: Arc<Mutex<Arrived>>,
}

impl Reading {
    fn start(topic: &Topic) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", servers::brokers())
            .set("group.id", "stream")
            .set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer can be made");
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            assignment
                .add_partition_offset(topic.name(), partition, Offset::Beginning)
                .expect("0 is a valid offset");
        }
        consumer.assign(&assignment).expect("partitions can be assigned");
        let arrived = Arc::<Mutex<Arrived>>::default();
        let read = Arc::downgrade(&arrived);
        std::thread::spawn(move || {
            while let Some(arrived) = read.upgrade() {
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(500)) else {
                    continue;
                };
                let value: serde_json::Value =
                    serde_json::from_slice(message.payload().unwrap_or_default()).expect("it is JSON");
                let at = value["at"].as_f64().expect("it says when it was written");
                let mut arrived = arrived.lock().expect("no panic");
                arrived.milliseconds.push(now() - at);
                arrived.total += 1;
            }
        });
        Self { arrived }
    }

    /// The 99th percentile of what arrived since the last call; none if nothing did.
    fn p99(&self) -> Option<f64> {
        let mut arrived = std::mem::take(&mut self.arrived.lock().expect("no panic").milliseconds);
        arrived.sort_by(f64::total_cmp);
        arrived.get(arrived.len() * 99 / 100).copied()
    }

    fn total(&self) -> u64 {
        self.arrived.lock().expect("no panic").total
    }
}

/// What was written.
#[derive(Debug, Default, Clone, Copy)]
struct Written {
    events: u64,
    /// The transaction that took longest, with its commit.
    slowest: Duration,
}

/// Samples a subject until `writing` ends and all that it wrote has arrived.
async fn observe(subject: &Subject, duration: Duration, writing: impl Future<Output = Written>) -> Samples {
    let reading = Reading::start(&subject.topic);
    let mut samples = Samples::default();
    let mut pace = tokio::time::interval(duration / POINTS);
    pace.tick().await;
    tokio::pin!(writing);
    let written = loop {
        tokio::select! {
            written = &mut writing => break written,
            _ = pace.tick() => samples.take(subject, &reading).await,
        }
    };
    while reading.total() < written.events {
        pace.tick().await;
    }
    samples.written = written;
    samples.arrived = reading.total();
    samples
}

/// Calls `transaction` at its pace for so long.
async fn write(duration: Duration, mut transaction: impl AsyncFnMut()) -> Written {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / TRANSACTIONS);
    let started = Instant::now();
    let mut written = Written::default();
    while started.elapsed() < duration {
        pace.tick().await;
        let begun = Instant::now();
        transaction().await;
        written.slowest = written.slowest.max(begun.elapsed());
        written.events += EVENTS as u64;
    }
    written
}
