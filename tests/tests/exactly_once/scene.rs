//! A log whose relays deliver exactly once, as processes of their own, and what a `read_committed` consumer sees of it.

use std::process::{Output, Stdio};
use std::time::Duration;

use outbox_runtime::testkit::checker::Report;
use outbox_tests::kafka::{ReadRecord, Topic, read_committed};
use outbox_tests::writers::{Ledger, Writers};
use outbox_tests::{TestDatabase, program, servers, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Postgres};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// Longer than a lease, a transaction that nobody ends, and a start on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Short, so that take-overs are quick.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);

/// Where everything is.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) database: String,
    pub(crate) brokers: String,
    pub(crate) cursor_topic: String,
}

impl Address {
    pub(crate) fn new(database: &str) -> Self {
        Self {
            database: database.to_owned(),
            brokers: servers::brokers(),
            cursor_topic: "outbox-cursors".to_owned(),
        }
    }

    pub(crate) fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(program());
        command
            .args(["relay", "--no-dotenv", "--delivery", mode])
            .args(["--database-url", &self.database, "--brokers", &self.brokers])
            .args(["--cursor-topic", &self.cursor_topic])
            .args(["--lease-ttl", &format!("{}ms", LEASE.as_millis())])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn relay(&self) -> Relay {
        Relay::start(self.command("exactly-once"))
    }

    /// A relay that ends or stops by itself at a failpoint.
    pub(crate) fn relay_with(&self, failpoint: &str) -> Relay {
        let mut command = self.command("exactly-once");
        command.env("OUTBOX_FAILPOINT", failpoint);
        Relay::start(command)
    }

    /// Delivers what is there in this mode, and ends.
    pub(crate) async fn drain(&self, mode: &str) -> Ran {
        ran(self.command(mode).arg("--until-empty")).await
    }

    /// Another command of the command line on this database, such as `adopt`; split at spaces.
    pub(crate) async fn run(&self, arguments: &str) -> Ran {
        let mut command = Command::new(program());
        command
            .args(arguments.split_whitespace())
            .args(["--no-dotenv", "--database-url", &self.database])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        ran(&mut command).await
    }
}

async fn ran(command: &mut Command) -> Ran {
    let ended = tokio::time::timeout(LIMIT, command.output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = ended.expect("the command ends").expect("the command starts");
    Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// A database and topics of a test's own.
pub(crate) struct Scene {
    database: TestDatabase<Postgres>,
    pub(crate) address: Address,
    pub(crate) topics: Vec<Topic>,
}

impl Scene {
    pub(crate) async fn new(topics: usize) -> Self {
        let database = TestDatabase::postgres().await;
        let mut created = Vec::new();
        for _ in 0..topics {
            created.push(Topic::create("once", 3).await);
        }
        Self {
            address: Address::new(&database.url()),
            database,
            topics: created,
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub(crate) fn writers(&self, transactions: u64) -> Writers {
        let topics = self.topics.iter().map(Topic::name);
        Writers::on(self.pool(), topics).transactions(transactions)
    }

    /// What a consumer sees that reads committed records only.
    pub(crate) async fn seen(&self) -> Vec<ReadRecord> {
        seen(&self.address.brokers, &self.topics).await
    }

    /// Delivers what is left, and compares.
    pub(crate) async fn verdict(&self, ledger: &Ledger) -> Report {
        self.address.drain("exactly-once").await.done();
        ledger.check(&self.seen().await)
    }

    pub(crate) async fn number(&self, of: &str) -> i64 {
        number(self.pool(), of).await
    }

    /// Inserts the events `numbers` for a topic, in one statement.
    pub(crate) async fn insert(&self, topic: &Topic, numbers: std::ops::Range<u32>) {
        insert(self.pool(), topic, numbers).await;
    }
}

pub(crate) async fn seen(brokers: &str, topics: &[Topic]) -> Vec<ReadRecord> {
    let mut records = Vec::new();
    for topic in topics {
        records.append(&mut read_committed(brokers, topic.name()).await);
    }
    records
}

pub(crate) async fn number(pool: &PgPool, of: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT {of}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

pub(crate) async fn insert(pool: &PgPool, topic: &Topic, numbers: std::ops::Range<u32>) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n % 5)::text, 'OrderPlacedV1', '{}', to_json(n) FROM generate_series({}, {}) AS n",
        topic.name(),
        numbers.start,
        numbers.end - 1
    );
    sqlx::query(AssertSqlSafe(insert)).execute(pool).await.unwrap();
}

/// All numbers that a consumer of committed records sees in the topic, sorted.
pub(crate) async fn numbers(topic: &Topic) -> Vec<u32> {
    let records = topic.read_committed().await;
    let values = records.iter().map(|record| record.value.as_deref().unwrap());
    let mut numbers: Vec<u32> = values
        .map(|value| serde_json::from_slice(value).unwrap())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until a consumer of committed records sees so many in the topic.
pub(crate) async fn until_seen(topic: &Topic, count: usize) {
    wait_until("records to be committed", LIMIT, async || {
        (numbers(topic).await.len() >= count).then_some(())
    })
    .await;
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

/// A relay that runs on.
pub(crate) struct Relay {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    said: String,
}

impl Relay {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.spawn().expect("the relay starts");
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

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(id, signal).expect("it can be signalled");
    }

    /// kill -9
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(self) -> Ran {
        self.signal(Signal::TERM);
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
        let output = tokio::time::timeout(LIMIT, ending).await;
        let output = output.unwrap_or_else(|_| panic!("it does not end"));
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: self.said,
        }
    }
}
