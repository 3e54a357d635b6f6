//! A log with numbered events, and the command line's program.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;

use outbox_runtime::Tables;
use outbox_runtime::schema::{Layout, migrate_as};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{PostgresServer, PostgresVersion};
use outbox_tests::{program, servers, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgExecutor};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::OnceCell;

/// Longer than a lease and a start on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Connections to a database that is there already.
pub(crate) async fn connect(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .connect(url)
        .await
        .expect("the database answers")
}

/// Connections to a database that gets the outbox's tables.
pub(crate) async fn log_at(url: &str) -> PgPool {
    log_as(Layout::Plain, url).await
}

/// As [`log_at`], laid out like this.
pub(crate) async fn log_as(layout: Layout, url: &str) -> PgPool {
    let pool = connect(url).await;
    migrate_as(layout, &pool, &Tables::default())
        .await
        .expect("tables can be made");
    pool
}

/// Inserts the events `numbers`, in one statement. Each thousand has five keys of its own.
pub(crate) async fn insert(database: impl PgExecutor<'_>, topic: &Topic, numbers: std::ops::Range<u32>) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n / 1000) || '-' || (n % 5), 'OrderPlacedV1', '{}', to_json(n) FROM generate_series({}, {}) AS n",
        topic.name(),
        numbers.start,
        numbers.end - 1
    );
    sqlx::query(AssertSqlSafe(insert))
        .execute(database)
        .await
        .expect("events can be written");
}

/// Two clusters that tests share, each with databases of its own: one that is far ahead in its transaction ids, and one
/// that is not.
pub(crate) async fn ahead_and_behind() -> (&'static PostgresServer, &'static PostgresServer) {
    static PAIR: OnceCell<(PostgresServer, PostgresServer)> = OnceCell::const_new();
    let start = async || {
        let version = PostgresVersion::Distribution;
        let (ahead, behind) = tokio::join!(PostgresServer::start(version), PostgresServer::start(version));
        use_up_ids(&connect(&ahead.url()).await, 20_000).await;
        (ahead, behind)
    };
    let (ahead, behind) = PAIR.get_or_init(start).await;
    (ahead, behind)
}

/// A new database of this server, and its URL.
pub(crate) async fn database(server: &PostgresServer, name: &str) -> String {
    server.create_database(name, "template0").await;
    server.url_of(name)
}

/// Uses up transaction ids.
pub(crate) async fn use_up_ids(pool: &PgPool, count: u32) {
    let burn = format!(
        "DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    );
    sqlx::raw_sql(AssertSqlSafe(burn)).execute(pool).await.unwrap();
}

pub(crate) async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(crate) async fn number(pool: &PgPool, of: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT {of}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

/// All numbers in the topic, sorted, of which each key's are in order, up to repetitions.
pub(crate) async fn numbers(topic: &Topic) -> Vec<u32> {
    let mut by_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for record in topic.read_all().await {
        let number = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let key = record.key_text().expect("it has a key").to_owned();
        by_key.entry(key).or_default().push(number);
    }
    for (key, numbers) in &by_key {
        let mut first: Vec<u32> = Vec::new();
        for number in numbers {
            if !first.contains(number) {
                first.push(*number);
            }
        }
        assert!(
            first.is_sorted(),
            "the first occurrences of key {key} are {first:?}"
        );
    }
    let mut all: Vec<u32> = by_key.into_values().flatten().collect();
    all.sort_unstable();
    all
}

pub(crate) fn range(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.collect()
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Exit code 0; returns stdout.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// This exit code, and these words on stderr.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
    }
}

/// Runs `outbox` with these arguments, split at spaces.
pub(crate) async fn outbox(arguments: &str) -> Ran {
    let ran = tokio::time::timeout(LIMIT, command(arguments).output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = ran.expect("the command ends").expect("the command starts");
    Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Delivers what is there to the shared broker, and ends.
pub(crate) async fn relay_all(url: &str) -> Ran {
    let brokers = servers::brokers();
    outbox(&format!(
        "relay -D {url} --brokers {brokers} --until-empty --lease-ttl 1s"
    ))
    .await
}

fn command(arguments: &str) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments.split_whitespace())
        .arg("--no-dotenv")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A relay that runs on.
pub(crate) struct RunningRelay {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    said: String,
}

impl RunningRelay {
    pub(crate) fn start(url: &str, brokers: &str) -> Self {
        Self::with_lease(url, brokers, "1s")
    }

    pub(crate) fn with_lease(url: &str, brokers: &str, ttl: &str) -> Self {
        let relay = format!("relay -D {url} --brokers {brokers} --lease-ttl {ttl}");
        let mut process = command(&relay).spawn().expect("the relay starts");
        let log = process.stderr.take().expect("its log is piped");
        Self {
            process,
            log: BufReader::new(log).lines(),
            said: String::new(),
        }
    }

    /// Waits for a line of the log with these words.
    pub(crate) async fn says(&mut self, words: &str) {
        let listening = async {
            while let Some(line) = self.log.next_line().await.expect("the log can be read") {
                self.said += &format!("{line}\n");
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended without {words:?}:\n{}", self.said);
        };
        let heard = tokio::time::timeout(LIMIT, listening).await;
        assert!(heard.is_ok(), "it did not say {words:?}:\n{}", self.said);
    }

    /// kill -9
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(self) -> Ran {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(id, Signal::TERM).expect("it can be signalled");
        self.ended().await
    }

    /// How it ended by itself.
    pub(crate) async fn ended(mut self) -> Ran {
        let ending = async {
            while let Some(line) = self.log.next_line().await.expect("the log can be read") {
                self.said += &format!("{line}\n");
            }
            self.process
                .wait_with_output()
                .await
                .expect("it can be waited for")
        };
        let output = tokio::time::timeout(LIMIT, ending).await.expect("it ends");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: self.said,
        }
    }
}

/// Waits until the topic has at least these.
pub(crate) async fn until_arrived(topic: &Topic, expected: &[u32]) {
    wait_until("the events to arrive", LIMIT, async || {
        let there = numbers(topic).await;
        expected.iter().all(|number| there.contains(number)).then_some(())
    })
    .await;
}

/// Waits until the cursor says that so many rows are settled.
pub(crate) async fn until_settled(url: &str, rows: i64) {
    let pool = connect(url).await;
    let settled =
        "count(*) FROM outbox_messages, outbox_cursor WHERE pg_visible_in_snapshot(xid, from_snapshot)";
    wait_until("the cursor to be written", LIMIT, async || {
        (number(&pool, settled).await == rows).then_some(())
    })
    .await;
    pool.close().await;
}
