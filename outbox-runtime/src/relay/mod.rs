//! The relay: from the log to the broker, in order, and never past a record that is not settled.
//!
//! `tenure` gets and keeps the lease by the rules of `election`. While it holds, `term` runs one `pass` after
//! another: a `feed` reads ahead, `delivery` hands over and takes settlements, `in_flight` knows how far
//! everything is settled. Whatever goes wrong ends a pass, and the next one starts at the persisted cursor,
//! leaving out what is known to be settled: there is one way to recover, and it is also the way to start.
//! In exactly-once delivery a term is another one: see `exactly_once`.

mod aside;
mod backoff;
mod broker;
mod builder;
mod caution;
mod clock;
mod config;
mod delivery;
mod doubts;
mod election;
mod errands;
mod error;
mod exactly_once;
mod feed;
mod in_flight;
mod in_order;
mod informed;
mod keys;
mod lane;
mod mode;
mod on_dead;
mod parking;
mod pass;
mod report;
mod round;
mod rounds;
mod running;
mod silence;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "testkit"))]
mod slept;
mod stop;
mod tenure;
mod term;
mod topics;
mod unconfirmed;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[cfg(feature = "kafka")]
pub(crate) use backoff::Backoff;
pub use builder::RelayBuilder;
pub use config::RelayConfig;
pub use error::{RelayError, RelayErrorKind};
pub use mode::DeliveryMode;
pub use report::{PossibleDuplicates, RelayHealth, RelayProgress, RelayReport};
pub use running::RunningRelay;

use self::caution::Caution;
use self::clock::Clock;
use self::delivery::Delivery;
use crate::RelayWaker;
use crate::publisher::{Publisher, Transactions};
use crate::store::Store;

/// Delivers committed messages from a store to a broker.
///
/// Any number of relays may run on one log: one is active, the others are on standby.
///
/// ```no_run
/// # async fn start(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// use outbox_runtime::{KafkaPublisher, PostgresStore, Relay};
/// use tokio_util::sync::CancellationToken;
///
/// let publisher = KafkaPublisher::builder("localhost:9092").build()?;
/// let mut relay = Relay::builder(PostgresStore::new(&pool), publisher).build()?;
/// let shutdown = CancellationToken::new();
/// relay.run(shutdown).await?;
/// # Ok(())
/// # }
/// ```
pub struct Relay<S, P> {
    store: Arc<S>,
    delivery: Delivery<P>,
    config: RelayConfig,
    waker: RelayWaker,
    clock: Arc<dyn Clock>,
    /// For exactly-once delivery, and to find out how far it is where it was at work.
    transactions: Option<Box<dyn Transactions>>,
    /// What this term suspects; `None` before anybody has looked.
    caution: Option<Option<Caution>>,
    /// The token of this relay's last tenure, which nobody writes with any more.
    last_token: Option<Uuid>,
    /// Whether it ever had all that it needs of the database.
    has_worked: bool,
}

/// When a relay's work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Somebody asks for a stop.
    Stop,
    /// Everything that is committed is settled.
    Drain,
    /// The cursor says all that is settled. Nothing more is sent but what stands between.
    CatchUp,
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// A relay from `store` to `publisher`, with the default configuration.
    pub fn builder(store: S, publisher: P) -> RelayBuilder<S, P> {
        RelayBuilder::new(store, publisher)
    }

    /// Runs until `shutdown` is cancelled, then waits for records in flight for at most
    /// [`shutdown_timeout`](RelayConfig::shutdown_timeout) and releases the lease. Outages are retried
    /// indefinitely, also at the start.
    ///
    /// Dropping the future instead is safe for the data: it is a crash, after which records that were on their
    /// way may come twice.
    ///
    /// # Errors
    /// The tables are missing or of another version, or the log was written in another cluster: things that
    /// no waiting cures. Nothing is lost then either.
    pub async fn run(&mut self, shutdown: CancellationToken) -> Result<RelayReport, RelayError> {
        self.work(Goal::Stop, shutdown).await
    }

    /// Waits for the lease, relays until a look at the log finds no committed row that is neither settled nor
    /// in the dead letters, and gives the lease back. Rows of open transactions do not count.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_once(&mut self) -> Result<RelayReport, RelayError> {
        self.drain(CancellationToken::new()).await
    }

    /// Like [`run_once`](Self::run_once), but `shutdown` ends it early, as it ends [`run`](Self::run).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn drain(&mut self, shutdown: CancellationToken) -> Result<RelayReport, RelayError> {
        self.work(Goal::Drain, shutdown).await
    }

    /// Runs the relay in a task of its own.
    pub fn spawn(self) -> RunningRelay {
        RunningRelay::start(self)
    }

    /// Counters that can be read while the relay runs.
    pub fn progress(&self) -> RelayProgress {
        self.delivery.progress.clone()
    }
}
