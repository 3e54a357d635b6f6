//! What a relay holds on to, whatever its log holds: memory, threads, files and connections, measured from
//! outside on the real program while extreme logs go through it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use outbox_runtime::{Outbox, OutboxMessage, Payload};
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::servers;
use outbox_tests::{TestDatabase, program};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Postgres};
use tokio::process::{Child, Command};

/// What `docs/bounds.md` states, for one broker. Memory is what a debug build takes.
const MEMORY: u64 = 256 << 20;
/// Seven clients of librdkafka (at most six producers and the admin client) have four each. The rest are tokio's, whose
/// threads for calls that block (a topic's metadata, once a minute) come and go.
const THREADS: usize = 42;
const FILES: usize = 80;
const CONNECTIONS: i64 = 4;

/// Long enough for a busy machine and a debug build.
const LIMIT: Duration = Duration::from_secs(180);

/// How often the process is looked at.
const PACE: Duration = Duration::from_millis(20);

/// A relay of its own process, looked at while it works.
struct Watched {
    relay: Child,
    database: TestDatabase<Postgres>,
    topic: Topic,
}

/// The most that was seen.
#[derive(Debug, Default)]
struct Peak {
    memory: u64,
    threads: usize,
    files: usize,
    connections: i64,
}

impl Watched {
    async fn start(database: TestDatabase<Postgres>, topic: Topic) -> Self {
        let options = database.pool.connect_options();
        let url = options.to_url_lossy();
        let relay = Command::new(program())
            .args(["relay", "--no-dotenv", "--brokers", &servers::brokers()])
            .args(["--database-url", url.as_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the relay starts");
        Self {
            relay,
            database,
            topic,
        }
    }

    /// Looks at the process until nothing is left to deliver.
    async fn until_delivered(&self) -> Peak {
        let id = self.relay.id().expect("the relay runs");
        let mut peak = Peak::default();
        let started = Instant::now();
        while !self.look(id, &mut peak).await {
            assert!(started.elapsed() < LIMIT, "not delivered in {LIMIT:?}: {peak:?}");
            tokio::time::sleep(PACE).await;
        }
        peak.memory = highest_memory(id);
        peak
    }

    /// One look; whether everything is delivered.
    async fn look(&self, id: u32, peak: &mut Peak) -> bool {
        let (connections, done): (i64, bool) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND backend_type = 'client backend'),
                    (SELECT from_snapshot IS NOT NULL AND to_snapshot IS NULL
                       AND high >= (SELECT max(seq) FROM outbox_messages) FROM outbox_cursor)",
        )
        .fetch_one(&self.database.pool)
        .await
        .unwrap();
        let own = i64::from(self.database.pool.size());
        peak.connections = peak.connections.max(connections - own);
        peak.threads = peak.threads.max(entries(id, "task"));
        peak.files = peak.files.max(entries(id, "fd"));
        done
    }

    /// All records, each partition in order.
    async fn records(&self) -> Vec<ReadRecord> {
        self.topic.read_all().await
    }
}

fn entries(process: u32, of: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/{of}")).map_or(0, Iterator::count)
}

/// Resident memory at its highest, in bytes.
fn highest_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the relay runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|number| number.trim().parse::<u64>().ok())
        .expect("Linux tells the peak")
        * 1024
}

impl Peak {
    fn holds(&self) {
        println!("peak: {self:?}");
        assert!(self.memory < MEMORY, "{self:?}");
        assert!(self.threads < THREADS, "{self:?}");
        assert!(self.files < FILES, "{self:?}");
        assert!(self.connections <= CONNECTIONS, "{self:?}");
    }
}

async fn run(pool: &sqlx::PgPool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

/// Five thousand of these would be 15 GB: pages are bounded in bytes, and so is what is on its way.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_large_records_are_bounded_in_bytes() {
    let database = TestDatabase::postgres().await;
    let limits = [("max.message.bytes", "4000000")];
    let topic = Topic::create_at(&servers::brokers(), "bounds", 3, &limits).await;
    run(
        &database.pool,
        format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload_binary)
             SELECT 'file', 'file-' || n % 7, 'FileMadeV1', '{}', convert_to(lpad(n::text, 3000000, 'x'), 'UTF8')
             FROM generate_series(1, 150) n",
            topic.name()
        ),
    )
    .await;
    let watched = Watched::start(database, topic).await;
    watched.until_delivered().await.holds();
    let mut sizes = 0;
    for record in watched.records().await {
        assert_eq!(record.value.as_ref().map(Vec::len), Some(3_000_000));
        sizes += 1;
    }
    assert_eq!(sizes, 150);
}

/// As many keys as records: nothing is kept for each key.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_as_many_keys_as_records_takes_no_more_memory() {
    const KEYS: i64 = 1_000_000;
    let database = TestDatabase::postgres().await;
    let topic = Topic::create_at(&servers::brokers(), "bounds", 6, &[]).await;
    run(
        &database.pool,
        format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', 'order-' || n, 'OrderPlacedV1', '{}', '{{}}' FROM generate_series(1, {KEYS}) n",
            topic.name()
        ),
    )
    .await;
    let watched = Watched::start(database, topic).await;
    watched.until_delivered().await.holds();
    assert_eq!(watched.topic.end_offset().await, KEYS);
}

/// One business transaction may emit as much as it likes; it stays whole and in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_messages_of_one_transaction_stay_in_order() {
    const MESSAGES: usize = 100_000;
    let database = TestDatabase::postgres().await;
    let topic = Topic::create_at(&servers::brokers(), "bounds", 1, &[]).await;
    let outbox = Outbox::new(database.pool.clone());
    let name = topic.name().to_owned();
    let emitted = outbox.transaction(async |tx| {
        for number in 0..MESSAGES {
            let message = OutboxMessage::builder(name.as_str(), "one")
                .aggregate_type("number")
                .event_type("NumberDrawnV1")
                .payload(Payload::Json(number.to_string()))
                .build();
            tx.emit_message(message)?;
        }
        Ok::<_, outbox_runtime::Error>(())
    });
    emitted.await.unwrap();
    let watched = Watched::start(database, topic).await;
    watched.until_delivered().await.holds();
    let arrived = watched.records().await;
    let numbers = arrived.iter().map(|record| {
        let value = record.value.as_deref().expect("no tombstone");
        std::str::from_utf8(value).unwrap().parse::<usize>().unwrap()
    });
    assert!(numbers.eq(0..MESSAGES), "{} records arrived", arrived.len());
}

/// An empty value is not a missing one: what was stored is what arrives.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_payload_and_a_tombstone_are_distinguished() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create_at(&servers::brokers(), "bounds", 1, &[]).await;
    run(
        &database.pool,
        format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload, payload_binary)
             VALUES ('a', 'k', 'E', '{0}', NULL, ''), ('a', 'k', 'E', '{0}', NULL, NULL), ('a', 'k', 'E', '{0}', '\"\"', NULL)",
            topic.name()
        ),
    )
    .await;
    let watched = Watched::start(database, topic).await;
    watched.until_delivered().await.holds();
    let values: Vec<_> = watched
        .records()
        .await
        .into_iter()
        .map(|record| record.value)
        .collect();
    assert_eq!(values, [Some(Vec::new()), None, Some(b"\"\"".to_vec())]);
}
