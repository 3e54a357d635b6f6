//! The relay, which sends the records of the log to the broker in order.
//!
//! A `session` is the work of one leader term: `leadership` obtains the lease and renews it. In at-least-once
//! delivery, a session repeats runs of the `pipeline`; in exactly-once delivery, `transactional` runs. Both
//! read through the `reader_task`, which alone owns the database connection. `topic_health` decides which
//! topics accept records, and `dead_letters` which records are parked and redelivered. `interventions`
//! applies the decisions of operators. `poison` finds records that crash the process.
//!
//! Every failure ends a run. The next run starts at the persisted cursor and omits records that are known to
//! be settled. Recovery and start are therefore the same.

mod backoff;
mod blocking;
mod builder;
mod claims;
mod config;
mod dead_letters;
mod error;
mod goal;
mod interventions;
mod leadership;
mod load;
mod outage;
mod pipeline;
mod poison;
mod reader_task;
mod report;
mod run_end;
mod running;
mod scope;
mod send_spans;
mod session;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "testkit"))]
mod sleep_tests;
mod stop;
mod telemetry;
mod throttle;
mod topic_health;
mod transactional;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use crate::delivery_mode::DeliveryMode;
#[cfg(feature = "kafka")]
pub(crate) use backoff::Backoff;
pub use builder::RelayBuilder;
pub use config::RelayConfig;
pub use error::{RelayError, RelayErrorKind};
pub use report::{PossibleDuplicates, RelayHealth, RelayProgress, RelayReport};
pub use running::RunningRelay;

use self::claims::Claims;
use self::goal::Goal;
use self::leadership::LastTerm;
use self::leadership::clock::Clock;
use self::pipeline::delivery::Delivery;
use self::poison::PoisonDetection;
use crate::RelayWaker;
use crate::publisher::{Publisher, Transactions};
use crate::retention::RetentionHandle;
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
    detection: Option<Option<PoisonDetection>>,
    /// This relay's last term, whose token nobody writes with any more.
    last_term: Option<LastTerm>,
    /// Whether it ever had all that it needs of the database.
    has_worked: bool,
    /// What the active relay deletes.
    retention: RetentionHandle,
    claims: Claims,
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Creates a relay from `store` to `publisher`, with the default configuration.
    pub fn builder(store: S, publisher: P) -> RelayBuilder<S, P> {
        RelayBuilder::new(store, publisher)
    }

    /// Runs until `shutdown` is cancelled, then waits for records in flight for at most
    /// [`shutdown_timeout`](RelayConfig::shutdown_timeout) and releases the lease. Outages are retried
    /// indefinitely, also at the start.
    ///
    /// Dropping the future has the effect of a crash: nothing is lost, but records in flight may be delivered
    /// twice.
    ///
    /// # Errors
    /// The tables are missing or have another version, the log was written in another cluster, the role lacks a
    /// right, the password is refused, or a pooler is in between. These errors are permanent. Nothing is lost.
    pub async fn run(&mut self, shutdown: CancellationToken) -> Result<RelayReport, RelayError> {
        self.work(Goal::Stop, shutdown).await
    }

    /// Delivers all committed messages, then returns. Waits for the lease first, and releases it at the end.
    /// Messages of open transactions do not count, and dead letters count as delivered. `shutdown` ends it
    /// early, as in [`run`](Self::run).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn drain(&mut self, shutdown: CancellationToken) -> Result<RelayReport, RelayError> {
        self.work(Goal::Drain, shutdown).await
    }

    /// Returns a handle that changes the retention while the relay runs.
    pub fn retention(&self) -> RetentionHandle {
        self.retention.clone()
    }

    /// Runs the relay in a task of its own.
    pub fn spawn(self) -> RunningRelay {
        RunningRelay::start(self)
    }

    /// Counters that can be read while the relay runs.
    pub fn progress(&self) -> RelayProgress {
        self.delivery.telemetry().progress().clone()
    }
}
