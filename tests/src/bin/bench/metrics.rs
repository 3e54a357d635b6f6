//! What metrics cost: the relay's rate and that of transactions with an event, with all metrics and without.
//!
//! With them, an exporter records and is scraped once a second, librdkafka reports its statistics as often, and the log is
//! sampled at the beginning of each round and then every 15 s. A process cannot take an exporter out again, so there are
//! two processes, which take turns in short rounds. Rates of neighbours differ by more than metrics cost, so what counts is
//! the processor time of the process, as a share of what the machine has for each message at that rate. What a sample costs
//! the database is measured by `observe`.

use std::process::Stdio;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use outbox_runtime::{DeliveryMode, KafkaPublisher, LogSampler, PostgresStore};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, servers};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::relay::{drain, measure, median};
use crate::write_path::Writers;
use crate::{cpu, exporter, log};

const RELAYED: usize = 7;
const WRITTEN: usize = 13;
const WRITING: Duration = Duration::from_secs(4);

/// Much more often than the 15 s that are usual.
const SCRAPED: Duration = Duration::from_secs(1);

pub(crate) async fn run(messages: u64) {
    let (mut on, mut off) = (
        Worker::start("with-metrics", messages),
        Worker::start("without-metrics", messages),
    );
    for (what, rounds) in [("relay", RELAYED), ("write", WRITTEN)] {
        let (mut with, mut without) = (Rounds::default(), Rounds::default());
        for round in 0..=rounds {
            // Neither of them always comes first.
            let (one, other) = if round % 2 == 0 {
                let one = on.measure(what).await;
                (one, off.measure(what).await)
            } else {
                let other = off.measure(what).await;
                (on.measure(what).await, other)
            };
            // The first round warms the servers.
            if round > 0 {
                with.push(one);
                without.push(other);
            }
        }
        let cores = std::thread::available_parallelism()
            .expect("there are cores")
            .get() as f64;
        let (with, without) = (with.median(), without.median());
        let machine = cores * 1e6 / without.rate;
        println!(
            "{what}: {:.0}/s with metrics, {:.0}/s without; medians of {rounds} rounds",
            with.rate, without.rate
        );
        println!(
            "{what}: {:.2} us of CPU each with metrics, {:.2} us without; metrics are {:.1} % of the {machine:.1} us that \
             {cores} cores have for each",
            with.cpu,
            without.cpu,
            100.0 * (with.cpu - without.cpu) / machine
        );
    }
}

/// One round of one process.
struct Round {
    /// Messages or transactions a second.
    rate: f64,
    /// Microseconds of the process for each.
    cpu: f64,
}

#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, round: Round) {
        self.rates.push(round.rate);
        self.cpu.push(round.cpu);
    }

    fn median(mut self) -> Round {
        Round {
            rate: median(&mut self.rates),
            cpu: median(&mut self.cpu),
        }
    }
}

/// A process that measures on request.
struct Worker {
    _process: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(what: &str, messages: u64) -> Self {
        let program = std::env::current_exe().expect("a process knows where its program is");
        let mut process = Command::new(program)
            .args([what, &messages.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let orders = process.stdin.take().expect("it is piped");
        let lines = process.stdout.take().expect("it is piped");
        Self {
            _process: process,
            orders,
            lines: BufReader::new(lines).lines(),
        }
    }

    async fn measure(&mut self, what: &str) -> Round {
        let order = format!("{what}\n");
        self.orders.write_all(order.as_bytes()).await.expect("it listens");
        let line = self.lines.next_line().await.expect("it can be read");
        let line = line.expect("it runs");
        let (rate, cpu) = line.split_once(' ').expect("two numbers");
        let number = |text: &str| text.parse().expect("a number");
        Round {
            rate: number(rate),
            cpu: number(cpu),
        }
    }
}

/// Such a process.
pub(crate) async fn measure_on_request(metrics: bool, messages: u64) {
    let brokers = servers::brokers();
    let exporter = metrics.then(exporter::install);
    let (relayed, written) = (
        TestDatabase::postgres().await,
        TestDatabase::postgres_with(20).await,
    );
    let writers = Writers::new(&written.pool).await;
    while let Some(order) = next_order().await {
        let (rate, cpu) = match order.as_str() {
            "relay" => {
                let topic = Topic::create_at(&brokers, "bench", 6, &[]).await;
                log::fill(&relayed.pool, &[topic.name().to_owned()], messages).await;
                let mut publisher = KafkaPublisher::builder(&brokers);
                if metrics {
                    publisher = publisher.property("statistics.interval.ms", "1000");
                }
                let draining = drain(&relayed.pool, publisher, DeliveryMode::AtLeastOnce);
                let draining = watched(&exporter, &relayed.pool, draining);
                let spent = cpu::spent();
                let rate = measure(messages, draining).await.rate;
                let spent = cpu::spent() - spent;
                topic.delete().await;
                (rate, spent.as_secs_f64() / messages as f64)
            }
            _ => {
                let spent = cpu::spent();
                let rate = watched(&exporter, &written.pool, writers.round(WRITING)).await;
                let spent = cpu::spent() - spent;
                (rate, spent.as_secs_f64() / (rate * WRITING.as_secs_f64()))
            }
        };
        println!("{rate} {}", 1e6 * cpu);
    }
}

/// What this process has to measure; none when its input has ended.
async fn next_order() -> Option<String> {
    let reading = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
    reading
        .await
        .expect("no panic")
        .transpose()
        .expect("it can be read")
}

/// Samples the log and scrapes while this is done, if there is an exporter.
async fn watched<T>(exporter: &Option<PrometheusHandle>, pool: &PgPool, work: impl Future<Output = T>) -> T {
    let Some(handle) = exporter.clone() else {
        return work.await;
    };
    let sampler = LogSampler::new(PostgresStore::new(pool)).spawn();
    let scraping = tokio::spawn(async move {
        let mut pace = tokio::time::interval(SCRAPED);
        loop {
            pace.tick().await;
            std::hint::black_box(handle.render());
        }
    });
    let done = work.await;
    sampler.stop();
    scraping.abort();
    done
}
