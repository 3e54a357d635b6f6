//! A log whose relays deliver exactly once, as processes of their own, and what a `read_committed` consumer sees of it.

use std::time::Duration;

use outbox_runtime::testkit::checker::Report;
use outbox_tests::kafka::{ReadRecord, Topic, read_committed};
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::writers::{Ledger, Writers};
use outbox_tests::{TestDatabase, servers, wait_until};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, PgExecutor, Postgres};
use tokio::process::Command;

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
    /// Topics whose keys wait behind a dead record, as `--block` takes them.
    pub(crate) block: Option<String>,
}

impl Address {
    pub(crate) fn new(database: &str) -> Self {
        Self {
            database: database.to_owned(),
            brokers: servers::brokers(),
            cursor_topic: "outbox-cursors".to_owned(),
            block: None,
        }
    }

    pub(crate) fn command(&self, mode: &str) -> Command {
        let mut command = command(&format!("relay --delivery {mode}"));
        command
            .args(["--database-url", &self.database, "--brokers", &self.brokers])
            .args(["--cursor-topic", &self.cursor_topic])
            .args(["--lease-ttl", &format!("{}ms", LEASE.as_millis())]);
        if let Some(block) = &self.block {
            command.args(["--block", block]);
        }
        command
    }

    pub(crate) fn relay(&self) -> Running {
        Running::start(self.command("exactly-once"))
    }

    /// A relay that ends or stops by itself at a failpoint.
    pub(crate) fn relay_with(&self, failpoint: &str) -> Running {
        let mut command = self.command("exactly-once");
        command.env("OUTBOX_FAILPOINT", failpoint);
        Running::start(command)
    }

    /// Delivers what is there in this mode, and ends.
    pub(crate) async fn drain(&self, mode: &str) -> Ran {
        Ran::of(self.command(mode).arg("--until-empty")).await
    }

    /// Another command of the command line on this database, such as `adopt`; split at spaces.
    pub(crate) async fn run(&self, arguments: &str) -> Ran {
        Ran::of(command(arguments).args(["--database-url", &self.database])).await
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

pub(crate) async fn insert(database: impl PgExecutor<'_>, topic: &Topic, numbers: std::ops::Range<u32>) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n % 5)::text, 'OrderPlacedV1', '{}', to_json(n) FROM generate_series({}, {}) AS n",
        topic.name(),
        numbers.start,
        numbers.end - 1
    );
    sqlx::query(AssertSqlSafe(insert))
        .execute(database)
        .await
        .unwrap();
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
