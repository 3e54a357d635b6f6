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

use uuid::Uuid;

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
    CursorChange, DeadLetter, DeadLetterPage, Mark, PageLimit, Parked, PoisonHistory, PoisonProbe, Reader,
    Released, RowId, TopicKey, Waiting,
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
/// Implementations must pass the store suite of [`testkit`](crate::testkit).
pub trait Store: Send + Sync + 'static {
    /// A connection that keeps the lease.
    type Lease: Lease;
    /// A connection that reads the log.
    type Reader: Reader;

    /// Opens a connection for the lease.
    fn open_lease(&self) -> impl Future<Output = Result<Self::Lease, StoreError>> + Send;

    /// Opens a connection that claims the cursor for `fence` and reads from the persisted cursor on. A relay
    /// of an earlier epoch can no longer write the cursor.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`] if a later epoch has claimed the cursor already.
    fn open_reader(&self, fence: Fence) -> impl Future<Output = Result<Self::Reader, StoreError>> + Send {
        self.open_reader_after(fence, None)
    }

    /// As [`open_reader`](Self::open_reader). The reader knows what happened to the cursor since `earlier`, the
    /// [claim](Reader::claim_id) of this relay's last reader. Over a connection that can break, it knows that also after claims
    /// whose answers were lost.
    ///
    /// # Errors
    /// As [`open_reader`](Self::open_reader).
    fn open_reader_after(
        &self,
        fence: Fence,
        earlier: Option<Uuid>,
    ) -> impl Future<Output = Result<Self::Reader, StoreError>> + Send;

    /// Returns the backlog, the holder of the lease and the number of dead letters. Only reads, on a separate
    /// connection, in bounded time regardless of the log's length.
    ///
    /// # Errors
    /// [`StoreErrorKind::ForeignCluster`] if the cursor is not valid in this database.
    fn status(&self) -> impl Future<Output = Result<StoreStatus, StoreError>> + Send;

    /// Whether the readers of this store have [`Generations`], which exactly-once delivery needs.
    fn has_generations(&self) -> bool {
        false
    }

    /// The CloudEvents source of rows without a source.
    fn default_source(&self) -> String;

    /// The log's name in metrics. Logs of one process with the same name share their metrics.
    fn log_name(&self) -> String {
        self.default_source().trim_start_matches('/').to_owned()
    }

    /// Creates partitions for future messages, if the log needs them, and returns their number. The active
    /// relay calls it periodically. It may be called at any time by any process, and blocks neither writers
    /// nor readers. Most stores have nothing to do.
    fn make_room(&self) -> impl Future<Output = Result<u32, StoreError>> + Send {
        std::future::ready(Ok(0))
    }

    /// Opens a connection that deletes delivered messages. By default, a store deletes nothing.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the role may not delete, or the store cannot.
    fn open_pruning(&self) -> impl Future<Output = Result<Box<dyn Pruning>, StoreError>> + Send {
        let what = "this store deletes no messages: switch retention off";
        std::future::ready(Err(StoreError::new(StoreErrorKind::Configuration, what)))
    }

    /// Forwards wake-ups of other processes to `waker` until the connection fails. A store without such
    /// signals never returns.
    fn forward_wakes(&self, waker: &RelayWaker) -> impl Future<Output = StoreError> + Send;
}
