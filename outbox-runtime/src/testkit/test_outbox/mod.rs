//! A database of a test's own, what was emitted into it, and what became of that.

mod assertions;
mod broker;
mod database;
mod emitted;
#[cfg(feature = "kafka")]
mod kafka;
mod report;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::Pool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use broker::TestBroker;
pub use database::TestDatabase;
pub use emitted::{Consumed, Emitted};

use self::database::{Fixture, Remains};
use crate::event::OutboxEvent;
use crate::message::OutboxMessage;
use crate::outbox::{CommitFault, Outbox};
use crate::relay::{Relay, RelayReport};
use crate::schema::{Tables, migrate};

/// An outbox for one test: a database of its own, assertions on the events that are committed there, and a relay and a
/// broker to deliver them.
///
/// ```
/// # use outbox_runtime::{OutboxEvent, OutboxTx, transactional};
/// use outbox_runtime::testkit::TestOutbox;
/// use sqlx::Sqlite;
///
/// #[derive(Debug, serde::Serialize, serde::Deserialize, OutboxEvent)]
/// #[outbox(topic = "shop.order.placed.v1", aggregate = "order", key = order_id)]
/// struct OrderPlacedV1 { order_id: i64 }
///
/// #[transactional]
/// async fn place(tx: &mut OutboxTx<'_, Sqlite>, order_id: i64) -> Result<(), outbox_runtime::Error> {
///     tx.emit(OrderPlacedV1 { order_id }).map(drop)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let test = TestOutbox::<Sqlite>::new().await;
/// place(test.outbox(), 7).await.unwrap();
/// test.assert_emitted::<OrderPlacedV1>(|event| event.order_id == 7).await;
/// test.assert_nothing_else().await;
/// # }
/// ```
///
/// What it looks at is the table: only what was committed is there. Methods panic where something is not as it should
/// be, with what was found instead: in a test, a panic is the report.
#[derive(Debug)]
pub struct TestOutbox<DB: TestDatabase> {
    outbox: Outbox<DB>,
    broker: TestBroker,
    /// What a test has asserted already.
    asserted: Mutex<HashSet<Uuid>>,
    // Last: the database goes after its connections.
    _remains: Remains,
}

impl<DB: TestDatabase> TestOutbox<DB> {
    /// A new database with the outbox tables. It is dropped with this value.
    ///
    /// - `Sqlite`: in memory, with one connection, because a database in memory has no more. A handler that asks the
    ///   pool for a second one while it is in a transaction fails after five seconds.
    /// - `Postgres`: a new database on the server of `DATABASE_URL`, whose role may create databases. Without it, all
    ///   tests of the process share a server that is started for them and ends with the process: from PostgreSQL's
    ///   programs (in the folder `OUTBOX_TEST_POSTGRES_BIN`, on the path, or where distributions install them), or with
    ///   the feature `testcontainers` in a container.
    ///
    /// # Panics
    /// The database cannot be created. Where there is no server, the report names the ways to one.
    pub async fn new() -> Self {
        let Fixture { pool, remains } = DB::create().await;
        Self::build(pool, remains).await
    }

    /// The outbox in a database that exists, such as one of `#[sqlx::test]`. Creates the tables if they are missing.
    ///
    /// # Panics
    /// The tables cannot be created.
    pub async fn on(pool: &Pool<DB>) -> Self {
        Self::build(pool.clone(), Remains::None).await
    }

    async fn build(pool: Pool<DB>, remains: Remains) -> Self {
        let migrated = migrate(&pool, &Tables::default()).await;
        migrated.expect("the outbox tables can be created");
        Self {
            outbox: Outbox::new(pool),
            broker: TestBroker::memory(),
            asserted: Mutex::default(),
            _remains: remains,
        }
    }

    /// Delivers to this broker instead of one of its own. Several outboxes may share one.
    #[must_use]
    pub fn with_broker(mut self, broker: &TestBroker) -> Self {
        self.broker = broker.clone();
        self
    }

    /// The outbox to call handlers with.
    pub fn outbox(&self) -> &Outbox<DB> {
        &self.outbox
    }

    /// The database, for tables and rows of the service.
    pub fn pool(&self) -> &Pool<DB> {
        self.outbox.pool()
    }

    /// The broker.
    pub fn broker(&self) -> &TestBroker {
        &self.broker
    }

    /// All committed messages, in their order.
    ///
    /// # Panics
    /// They cannot be read.
    pub async fn messages(&self) -> Vec<OutboxMessage> {
        DB::messages(self.pool()).await
    }

    /// The committed events of this type, in their order.
    ///
    /// An event is of the type if it is read as `E` and `E` writes it with the same type and topic.
    ///
    /// # Panics
    /// They cannot be read.
    pub async fn emitted<E: OutboxEvent + serde::de::DeserializeOwned>(&self) -> Vec<Emitted<E>> {
        let messages = self.messages().await;
        messages
            .into_iter()
            .filter_map(|message| Emitted::read(message).ok())
            .collect()
    }

    /// Makes the next commit fail before it is sent, as if the connection broke: nothing is committed. Call it again
    /// for another failure.
    pub fn fail_before_commit(&self) {
        self.outbox.commit_faults().ask(CommitFault::Before);
    }

    /// Makes the next commit fail after it is done, as if the answer were lost: everything is committed, and the
    /// caller gets [`ErrorKind::CommitOutcomeUnknown`](crate::ErrorKind::CommitOutcomeUnknown).
    pub fn fail_after_commit(&self) {
        self.outbox.commit_faults().ask(CommitFault::After);
    }

    /// Relays until every committed message is settled. Waits while the broker is down.
    ///
    /// # Panics
    /// The relay ends with an error.
    pub async fn relay_until_empty(&self) -> RelayReport {
        let store = DB::store(self.pool());
        let never = CancellationToken::new();
        let report = match &self.broker {
            TestBroker::Memory(broker) => match Relay::builder(store, broker.publisher()).build() {
                Ok(mut relay) => relay.drain(never).await,
                Err(error) => Err(error),
            },
            #[cfg(feature = "kafka")]
            TestBroker::Kafka(kafka) => match Relay::builder(store, kafka.publisher()).build() {
                Ok(mut relay) => relay.drain(never).await,
                Err(error) => Err(error),
            },
        };
        report.expect("the relay delivers")
    }

    /// Reads the first `count` events of this type back from the broker: those that this outbox has emitted and that
    /// were relayed. A duplicate counts.
    ///
    /// # Panics
    /// There are fewer; from Kafka, after half a minute.
    pub async fn consume<E: OutboxEvent + serde::de::DeserializeOwned>(
        &self,
        count: usize,
    ) -> Vec<Consumed<E>> {
        let emitted = self.emitted::<E>().await;
        let topics: HashSet<String> = emitted
            .iter()
            .map(|event| event.message().topic().to_owned())
            .collect();
        let ids: HashSet<Uuid> = emitted.iter().map(|event| event.message().id()).collect();
        let records = self.broker.read(topics, ids, count).await;
        assert!(
            records.len() >= count,
            "the broker has {} of {count} events of the type `{}`, of which {} were emitted",
            records.len(),
            report::short_name::<E>(),
            emitted.len(),
        );
        records.into_iter().map(Consumed::read).collect()
    }

    fn asserted(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.asserted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
