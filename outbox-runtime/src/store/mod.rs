//! The interface to the database, through which a relay reads the log of messages.
//!
//! A [`Store`] opens connections of two kinds. The [`Lease`] decides which relay is active; the [`Reader`]
//! reads the log in order and keeps the cursor. Both are exclusively owned, so an implementation needs no
//! locks.

mod classify;
mod controls;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod dead_letters;
mod error;
mod generations;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod inspected;
mod lease;
mod observed;
#[cfg(feature = "postgres")]
mod postgres;
mod prune;
mod reader;
mod relocation;
#[cfg(feature = "metrics")]
mod sample;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod statement;
mod status;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod tailed;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod unreadable;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod writers;

use std::future::Future;

use crate::RelayWaker;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use controls::{AuditEntry, Controls, Decision};
pub use controls::{
    Interventions, Pause, PauseScope, PausedKey, Pauses, Rate, Skips, Throttle, ThrottleScope, Throttles,
};
#[cfg(feature = "postgres")]
pub use controls::{LockHolder, ModeOutlook, SwitchError, SwitchRefusal};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use controls::{RewindError, RewindOutlook, RewindTo, Skip, SkipRequest};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use dead_letters::{DeadLetterFilter, DeadLetterState, DeadLetters, ListedDeadLetter, ShownDeadLetter};
pub use error::{StoreError, StoreErrorKind};
pub use generations::{ClaimedCursor, Contradiction, Generations};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use inspected::{
    Inspect, InspectedMessage, Inspection, LogSearch, MessageState, RecordLookup, TimelineEntry, WaitsFor,
};
pub use lease::{Claim, Fence, Lease, LeaseRow};
#[doc(hidden)]
pub use observed::Observation;
pub use observed::{Counted, LogState, ParkedTopic, PartitionRoom};
pub(crate) use observed::{optional_seconds, seconds};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "postgres")]
pub(crate) use postgres::PostgresTail;
#[cfg(feature = "postgres")]
#[doc(hidden)]
pub use postgres::{Refusal, refused};
pub use prune::{FullPartition, PartitionEnd, Piece, PrunedPiece, Pruning, StoredAs, Weighed};
pub(crate) use reader::{BEHIND_DEAD, KEY_PAUSED, SKIPPED, TOPIC_PAUSED, TOPIC_THROTTLED};
pub use reader::{
    DeadLetter, DeadLetterPage, Mark, PageLimit, Parked, PoisonHistory, PoisonProbe, Reader, Released, RowId,
    TopicKey, Waiting,
};
pub use relocation::{Adopt, Fork, Relocated, WithoutCursor};
#[cfg(feature = "metrics")]
pub use sample::{DeadLetterCount, LogSample, SampledStore, Sampling};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::SqliteTail;
pub use status::{Backlog, LeaseStatus, StoreStatus};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use tailed::TailFrom;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use writers::OpenWriter;

/// A database that holds one log of messages.
///
/// Implementations promise what [`testkit`](crate::testkit)'s store suite checks; run it on yours.
pub trait Store: Send + Sync + 'static {
    /// A connection that keeps the lease.
    type Lease: Lease;
    /// A connection that reads the log.
    type Reader: Reader;

    /// A new connection for the lease.
    fn open_lease(&self) -> impl Future<Output = Result<Self::Lease, StoreError>> + Send;

    /// A new connection that reads from the persisted cursor on, after it has claimed the cursor for `fence`:
    /// whoever held it under an earlier epoch can no longer write it.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`] if a later epoch has claimed the cursor already.
    fn open_reader(&self, fence: Fence) -> impl Future<Output = Result<Self::Reader, StoreError>> + Send;

    /// How far the relay is behind, who holds the lease, and how many dead letters there are. Reads only, on a
    /// connection of its own, and in bounded time however long the log is.
    ///
    /// # Errors
    /// [`StoreErrorKind::ForeignCluster`] where the cursor does not say how far that is.
    fn status(&self) -> impl Future<Output = Result<StoreStatus, StoreError>> + Send;

    /// Whether the readers of this store have [`Generations`], which exactly-once delivery rests on.
    fn has_generations(&self) -> bool {
        false
    }

    /// The CloudEvents source of rows that name none.
    fn default_source(&self) -> String;

    /// What the log is called in metrics. Logs of one process that have the same name are counted together.
    fn log_name(&self) -> String {
        self.default_source().trim_start_matches('/').to_owned()
    }

    /// Makes room for messages to come, where the log needs that, and says how much was made, in whatever the
    /// store counts. The active relay asks for it from time to time; it may be called at any time and from
    /// anywhere, and stops neither writers nor readers. Most stores have nothing to do.
    fn make_room(&self) -> impl Future<Output = Result<u32, StoreError>> + Send {
        std::future::ready(Ok(0))
    }

    /// A new connection that deletes what was delivered. By default, a store deletes nothing.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the role may not delete, or the store cannot.
    fn open_pruning(&self) -> impl Future<Output = Result<Box<dyn Pruning>, StoreError>> + Send {
        let what = "this store deletes no messages: switch retention off";
        std::future::ready(Err(StoreError::new(StoreErrorKind::Configuration, what)))
    }

    /// Passes wake-ups of other processes on to `waker` until the connection fails. A store without such
    /// signals never returns.
    fn forward_wakes(&self, waker: &RelayWaker) -> impl Future<Output = StoreError> + Send;
}
