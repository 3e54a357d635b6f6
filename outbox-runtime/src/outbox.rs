//! The outbox of one database: where transactions begin.

use std::fmt;
use std::sync::{Arc, Once};

use crate::catalog::Catalog;
use crate::database::{OutboxDatabase, Statements};
use crate::error::Error;
use crate::message::Limits;
use crate::metrics::WritingMetrics;
use crate::schema::Tables;
use crate::transaction::{
    Attempts, CommitFaults, OutboxTx, RetryableError, Seen, TransactionOptions, TransactionSource,
};
use crate::wake::RelayWaker;

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

    /// Runs `body` in a new transaction. Commits it with its events if `body` returns `Ok`, and rolls back if
    /// `body` returns `Err` or panics.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Outbox, OutboxEvent};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// # async fn example(outbox: Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let order_id = 7;
    /// outbox
    ///     .transaction(async |tx| {
    ///         sqlx::query("INSERT INTO orders (id) VALUES (?)").bind(order_id).execute(&mut **tx).await?;
    ///         tx.emit(OrderPlacedV1 { order_id })?;
    ///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// Write `async |tx| { … }`; `|tx| async move { … }` is another type, which the compiler refuses as "not
    /// general enough".
    ///
    /// Cancellation: dropped before COMMIT was sent, nothing is committed; dropped while COMMIT is under way,
    /// it may be committed or not. Locks are held until the statement that was running has ended: a
    /// `statement_timeout` bounds that.
    ///
    /// # Errors
    /// What `body` returned, or an [`Error`] of this library made into `E`: see
    /// [`ErrorKind`](crate::ErrorKind).
    pub async fn transaction<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E>,
        E: From<Error>,
    {
        self.attempts(TransactionOptions::new()).once(body).await
    }

    /// Like [`transaction`](Self::transaction), with an isolation level and retries.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Isolation, Outbox, TransactionOptions};
    /// # async fn example(outbox: Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let options = TransactionOptions::new().isolation(Isolation::Serializable).retry(3);
    /// outbox
    ///     .transaction_with(options, async |tx| {
    ///         sqlx::query("UPDATE stock SET left = left - 1").execute(&mut **tx).await?;
    ///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// Each attempt runs a clone of `body`, so what it takes along has to be `Clone`.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction), of the last attempt.
    pub async fn transaction_with<T, E, F, M>(&self, options: TransactionOptions, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E> + Clone,
        E: From<Error> + RetryableError<M>,
    {
        let mut attempts = self.attempts(options);
        loop {
            let result = attempts.once(body.clone()).await;
            let Err(error) = &result else { return result };
            let pause = attempts.again(&Seen::error(error));
            match pause {
                Some(pause) => pause.await,
                None => return result,
            }
        }
    }

    fn attempts(&self, options: TransactionOptions) -> Attempts<'_, DB> {
        Attempts::new(self.into_source(), options)
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

    pub(crate) fn waker_ref(&self) -> &RelayWaker {
        &self.shared.waker
    }
}

#[cfg(feature = "postgres")]
impl Outbox<sqlx::Postgres> {
    /// The outcome of a transaction whose COMMIT was not answered. `xid` is the one in
    /// [`ErrorKind::CommitOutcomeUnknown`](crate::ErrorKind::CommitOutcomeUnknown).
    ///
    /// The server may still be at work on it: on [`InProgress`](crate::CommitOutcome::InProgress) ask again.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn outcome(&self, xid: u64) -> Result<crate::CommitOutcome, Error> {
        let asked = crate::database::outcome(self.pool(), xid).await;
        asked.map_err(|error| Error::database("ask for the outcome of a transaction", error))
    }
}

#[cfg(all(feature = "metrics", feature = "postgres"))]
impl Outbox<sqlx::Postgres> {
    /// A sampler of the log for metrics, which opens connections of its own with the pool's options.
    pub fn log_sampler(&self) -> crate::LogSampler<crate::PostgresStore> {
        crate::LogSampler::new(crate::PostgresStore::new(self.pool()).tables(self.tables()))
    }
}

#[cfg(all(feature = "metrics", feature = "sqlite"))]
impl Outbox<sqlx::Sqlite> {
    /// A sampler of the log for metrics, on connections of the pool.
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
    /// Events of this program that contradict each other are logged as errors, and what [`Catalog::warnings`] tells as
    /// warnings, once in a process; a service that would rather not start with them calls [`Catalog::check`] or
    /// [`Catalog::check_strictly`]. A relay is not built with contradictions.
    pub fn build(self) -> Outbox<DB> {
        let Self {
            pool,
            tables,
            limits,
            waker,
        } = self;
        tell_contradictions();
        let statements = DB::statements(&tables);
        let metrics = WritingMetrics::new(tables.log_name(&DB::database_name(&pool)));
        Outbox {
            shared: Arc::new(Shared {
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
fn tell_contradictions() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
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
