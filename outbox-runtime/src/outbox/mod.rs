//! The outbox of one database, which begins transactions.

mod commit_fault;

use std::fmt;
use std::sync::{Arc, Once};

use crate::catalog::Catalog;
use crate::database::{OutboxDatabase, Statements};
#[cfg(feature = "postgres")]
use crate::error::Error;
use crate::message::Limits;
use crate::metrics::WritingMetrics;
use crate::modes::TransactionModes;
use crate::schema::Tables;
use crate::wake::RelayWaker;

use commit_fault::CommitFaults;
pub(crate) use commit_fault::{CommitFault, connection_lost};

/// A connection pool and the outbox tables of one database. Clones are cheap and share everything.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use outbox_runtime::Outbox;
///
/// let outbox = Outbox::new(sqlx::SqlitePool::connect("sqlite:shop.db").await?);
/// # Ok(()) }
/// ```
pub struct Outbox<DB: OutboxDatabase> {
    shared: Arc<Shared<DB>>,
}

struct Shared<DB: OutboxDatabase> {
    pool: sqlx::Pool<DB>,
    tables: Tables,
    statements: Statements,
    limits: Limits,
    waker: RelayWaker,
    commit_faults: CommitFaults,
    metrics: WritingMetrics,
    modes: Option<Arc<dyn TransactionModes<DB>>>,
}

impl<DB: OutboxDatabase> Outbox<DB> {
    /// Creates an outbox with the default tables and limits.
    pub fn new(pool: sqlx::Pool<DB>) -> Self {
        Self::builder(pool).build()
    }

    /// Builds an outbox with other tables or limits.
    pub fn builder(pool: sqlx::Pool<DB>) -> OutboxBuilder<DB> {
        OutboxBuilder {
            pool,
            tables: Tables::default(),
            limits: Limits::default(),
            waker: RelayWaker::new(),
            modes: None,
        }
    }

    /// The connection pool.
    pub fn pool(&self) -> &sqlx::Pool<DB> {
        &self.shared.pool
    }

    /// The names of the tables.
    pub fn tables(&self) -> &Tables {
        &self.shared.tables
    }

    /// The waker for the relay of this process; pass it to the relay's builder.
    pub fn waker(&self) -> RelayWaker {
        self.shared.waker.clone()
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.shared.statements
    }

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits
    }

    pub(crate) fn commit_faults(&self) -> &CommitFaults {
        &self.shared.commit_faults
    }

    pub(crate) fn metrics(&self) -> &WritingMetrics {
        &self.shared.metrics
    }

    /// None if the service did not ask for modes.
    pub(crate) fn modes(&self) -> Option<&Arc<dyn TransactionModes<DB>>> {
        self.shared.modes.as_ref()
    }

    pub(crate) fn waker_ref(&self) -> &RelayWaker {
        &self.shared.waker
    }
}

#[cfg(feature = "postgres")]
impl Outbox<sqlx::Postgres> {
    /// Returns the outcome of a transaction whose COMMIT was not answered. `xid` is from
    /// [`ErrorKind::CommitOutcomeUnknown`](crate::ErrorKind::CommitOutcomeUnknown).
    ///
    /// If the server still processes the transaction, the result is
    /// [`InProgress`](crate::CommitOutcome::InProgress): call it again.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn outcome(&self, xid: u64) -> Result<crate::CommitOutcome, Error> {
        let asked = crate::database::outcome(self.pool(), xid).await;
        asked.map_err(|error| Error::database("ask for the outcome of a transaction", error))
    }

    /// Operators' controls of this outbox: pause, skip, rewind, throttle, and set
    /// [modes](crate::store::Controls::set_mode).
    pub fn controls(&self) -> crate::store::Controls {
        crate::store::Controls::in_postgres(self.pool(), self.tables())
    }

    /// Sets a mode, like [`Controls::set_mode`](crate::store::Controls::set_mode).
    ///
    /// # Errors
    /// As [`Controls::set_mode`](crate::store::Controls::set_mode).
    pub async fn set_mode(
        &self,
        scope: &crate::modes::ModeScope,
        mode: Option<crate::modes::Mode>,
        decision: &crate::store::Decision,
        timeout: std::time::Duration,
    ) -> Result<bool, crate::store::SwitchError> {
        self.controls().set_mode(scope, mode, decision, timeout).await
    }
}

#[cfg(all(feature = "metrics", feature = "postgres"))]
impl Outbox<sqlx::Postgres> {
    /// Creates a sampler of the log for metrics. It opens its own connections with the pool's options.
    pub fn log_sampler(&self) -> crate::LogSampler<crate::PostgresStore> {
        crate::LogSampler::new(crate::PostgresStore::new(self.pool()).tables(self.tables()))
    }
}

#[cfg(all(feature = "metrics", feature = "sqlite"))]
impl Outbox<sqlx::Sqlite> {
    /// Creates a sampler of the log for metrics. It uses connections of the pool.
    pub fn log_sampler(&self) -> crate::LogSampler<crate::SqliteStore> {
        crate::LogSampler::new(crate::SqliteStore::new(self.pool()).tables(self.tables()))
    }
}

impl<DB: OutboxDatabase> Clone for Outbox<DB> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<DB: OutboxDatabase> fmt::Debug for Outbox<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("database", &DB::NAME)
            .field("tables", &self.shared.tables)
            .finish()
    }
}

/// Builds an [`Outbox`].
#[derive(Debug)]
#[must_use]
pub struct OutboxBuilder<DB: OutboxDatabase> {
    pool: sqlx::Pool<DB>,
    tables: Tables,
    limits: Limits,
    waker: RelayWaker,
    /// Made of the pool and the tables when those are known.
    modes: Option<MakeModes<DB>>,
}

struct MakeModes<DB: OutboxDatabase>(
    #[expect(clippy::type_complexity, reason = "a name would say no more")]
    Box<dyn FnOnce(&sqlx::Pool<DB>, &Tables) -> Arc<dyn TransactionModes<DB>> + Send + Sync>,
);

impl<DB: OutboxDatabase> fmt::Debug for MakeModes<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeModes")
    }
}

#[cfg(feature = "postgres")]
impl OutboxBuilder<sqlx::Postgres> {
    /// Makes the outbox follow the modes that operators set with `outbox mode set`. Default: every event goes through the
    /// log.
    ///
    /// The outbox reads the modes twice per second, and in each transaction that emits, which costs one more
    /// statement. An outbox that is built outside of a tokio runtime begins to read them at its first transaction.
    pub fn modes(mut self, modes: crate::modes::Modes) -> Self {
        self.modes = Some(MakeModes(Box::new(move |pool, tables| {
            let database = <sqlx::Postgres as crate::database::Backend>::database_name(pool);
            Arc::new(crate::modes::PostgresModes::new(modes, pool, tables, &database))
        })));
        self
    }
}

impl<DB: OutboxDatabase> OutboxBuilder<DB> {
    /// Sets the tables. Default: names that begin with `outbox_`.
    pub fn tables(mut self, tables: Tables) -> Self {
        self.tables = tables;
        self
    }

    /// Maximum size of a payload in bytes. Default: 1,000,000, librdkafka's limit for a record.
    pub fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_payload_bytes = bytes;
        self
    }

    /// Maximum size of a record in bytes: key, payload, headers and the overhead of Kafka. Default: 1,048,588,
    /// Kafka's default for `max.message.bytes`. Set it to the value of your topics.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_record_bytes = bytes;
        self
    }

    /// Sets the waker that is called after each commit. Default: a new one.
    pub fn waker(mut self, waker: RelayWaker) -> Self {
        self.waker = waker;
        self
    }

    /// Builds the outbox. Does not access the database.
    ///
    /// Events of this program that contradict each other are logged as errors, and [`Catalog::warnings`] as
    /// warnings, once per process. To refuse to start with them, call [`Catalog::check`] or
    /// [`Catalog::check_strictly`]. Building a relay with contradictions fails.
    pub fn build(self) -> Outbox<DB> {
        let Self {
            pool,
            tables,
            limits,
            waker,
            modes,
        } = self;
        log_contradictions();
        let statements = DB::statements(&tables);
        let metrics = WritingMetrics::new(tables.log_name(&DB::database_name(&pool)));
        let modes = modes.map(|MakeModes(make)| make(&pool, &tables));
        Outbox {
            shared: Arc::new(Shared {
                modes,
                pool,
                tables,
                statements,
                limits,
                waker,
                commit_faults: CommitFaults::default(),
                metrics,
            }),
        }
    }
}

/// Once in a process.
fn log_contradictions() {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        if let Err(error) = Catalog::global().check() {
            for fault in error.faults() {
                tracing::error!("{fault}");
            }
        }
        for warning in Catalog::global().warnings() {
            tracing::warn!("{warning}");
        }
    });
}
