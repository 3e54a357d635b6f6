//! What metrics cost: the relay's rate and that of transactions with an event, with all metrics and without.
//!
//! With them, an exporter records and is scraped once a second, the log is sampled and librdkafka tells its statistics
//! as often. A process cannot take an exporter out again, so each measurement has a process of its own. The two take
//! turns; a ratio is the median of those of neighbours.

use std::time::Duration;

use outbox_runtime::{DeliveryMode, KafkaPublisher, LogSampler, PostgresStore};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, servers};
use tokio::process::Command;

use crate::relay::{drain, measure, median};
use crate::{exporter, log, write_path};

const ROUNDS: usize = 7;
const WRITING: Duration = Duration::from_secs(4);

/// Much more often than the 15 s that are usual.
const OFTEN: Duration = Duration::from_secs(1);

pub(crate) async fn run(messages: u64) {
    println!(
        "{messages} messages to relay and {WRITING:?} of transactions with an event, {ROUNDS} rounds in turn"
    );
    let (mut relay, mut write) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // Neither of them always comes first.
        let first = round % 2 == 0;
        let (one, another) = (process(first, messages).await, process(!first, messages).await);
        let (on, off) = if first { (one, another) } else { (another, one) };
        println!(
            "round {round}: relay {:.0}/s with metrics, {:.0}/s without; writing {:.0}/s with, {:.0}/s without",
            on.0, off.0, on.1, off.1
        );
        // The first round warms the servers.
        if round > 0 {
            relay.push(on.0 / off.0);
            write.push(on.1 / off.1);
        }
    }
    println!(
        "with metrics / without, medians: relay {:.1} %, writing {:.1} %",
        100.0 * median(&mut relay),
        100.0 * median(&mut write)
    );
}

/// The rates of a process of its own.
async fn process(metrics: bool, messages: u64) -> (f64, f64) {
    let program = std::env::current_exe().expect("a process knows where its program is");
    let what = if metrics {
        "with-metrics"
    } else {
        "without-metrics"
    };
    let output = Command::new(program)
        .args([what, &messages.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .await
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("it writes text");
    let mut rates = text
        .split_whitespace()
        .map(|rate| rate.parse().expect("it writes two rates"));
    rates.next().zip(rates.next()).expect("it writes two rates")
}

/// One measurement: prints both rates.
pub(crate) async fn once(metrics: bool, messages: u64) {
    let brokers = servers::brokers();
    let database = TestDatabase::postgres_with(20).await;
    let pool = &database.pool;
    let mut publisher = KafkaPublisher::builder(&brokers);
    let mut running = None;
    if metrics {
        let handle = exporter::install();
        publisher = publisher.property("statistics.interval.ms", "1000");
        let sampler = LogSampler::new(PostgresStore::new(pool)).interval(OFTEN).spawn();
        let scraping = tokio::spawn(async move {
            let mut pace = tokio::time::interval(OFTEN);
            loop {
                pace.tick().await;
                std::hint::black_box(handle.render());
            }
        });
        running = Some((sampler, scraping));
    }
    let written = write_path::with_events(pool, WRITING).await;
    let topic = Topic::create_at(&brokers, "bench", 6, &[]).await;
    log::fill(pool, topic.name(), messages).await;
    let relayed = measure(messages, drain(pool, publisher, DeliveryMode::AtLeastOnce)).await;
    topic.delete().await;
    println!("{} {written}", relayed.rate);
    if let Some((sampler, scraping)) = running {
        sampler.stop();
        scraping.abort();
    }
}
