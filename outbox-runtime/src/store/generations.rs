//! The part of a store for exactly-once delivery: a cursor row that Kafka's cursor completes.
//!
//! A *generation* is the number of a window that was opened in exactly-once delivery. The row stores a window
//! with its generation before the first record of the window is sent. The broker's cursor, which is committed
//! with the records, stores the progress within that generation. Both together determine what was delivered,
//! even if the row is out of date. If they contradict each other, one of them has lost data.

use std::future::Future;

use uuid::Uuid;

use super::{Mark, StoreError, StoreErrorKind};

/// The cursor row at the time when a relay claimed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedCursor {
    /// The log's id, by which the broker distinguishes logs.
    pub log_id: Uuid,
    /// The generation of the window that was opened last; `None` if only the row records what was delivered.
    pub generation: Option<i64>,
    /// The open window of the row, and the position up to which the row records it as settled.
    pub open: Option<Mark>,
    /// The database went back to an earlier point in time since the row was written: a fail-over or a restore.
    pub went_back: bool,
}

/// A contradiction between the cursors in the database and at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// The broker knows of deliveries that the database has lost: a restore, a fail-over that lost commits.
    DatabaseWentBack,
    /// The database knows of a cursor at the broker, but the broker has none: its topic was deleted, or this
    /// is another cluster.
    BrokerLostCursor,
    /// The database knows of deliveries that the broker has lost.
    BrokerWentBack,
}

/// The generations of a log. Every method has a default, for stores with at-least-once delivery only.
pub trait Generations: Send {
    /// The claimed cursor row; `None` if this store has no generations.
    fn claimed(&self) -> Option<ClaimedCursor> {
        None
    }

    /// Checks that this reader still holds the cursor, so the row is unchanged since it was claimed.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`] if it is not.
    fn confirm(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Err(without_generations()))
    }

    /// Resumes the open window of the row after `seq`, up to which it was delivered. Call it before the first
    /// read.
    fn resume_behind(&mut self, seq: i64) {
        let _ = seq;
    }

    /// Stores that from now on the broker's cursor completes the row. Fenced like the cursor.
    fn begin_generations(&mut self, generation: i64) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = generation;
        std::future::ready(Err(without_generations()))
    }

    /// Stores a window with its generation, and that all earlier windows are settled. Fenced like the cursor,
    /// and durable when it returns.
    fn begin_window(
        &mut self,
        window: u64,
        generation: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (window, generation);
        std::future::ready(Err(without_generations()))
    }

    /// Stores the start position of the reader, and that only the row records it from now on. Fenced like the
    /// cursor.
    fn end_generations(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Err(without_generations()))
    }

    /// The error that ends a relay whose cursors contradict each other. It names the command to run.
    fn contradiction(&self, contradiction: Contradiction) -> StoreError {
        contradiction.into_error("")
    }
}

impl Contradiction {
    /// `names` are the arguments by which the command line finds the log's tables.
    pub(crate) fn into_error(self, names: &str) -> StoreError {
        let what = match self {
            Self::DatabaseWentBack => {
                "the database went back (a restore, or a fail-over that lost commits): Kafka has what was delivered \
                 after the point in time to which the database went back"
            }
            Self::BrokerLostCursor => {
                "Kafka has no cursor of this log, though exactly-once delivery was at work: the topic that keeps it \
                 was deleted, or is named otherwise (`--cursor-topic`), or this is another Kafka cluster"
            }
            Self::BrokerWentBack => {
                "Kafka lost a part of what it had acknowledged: its cursor is behind what the database knows to be \
                 delivered"
            }
        };
        StoreError::new(
            StoreErrorKind::Undecided,
            format!(
                "{what}. Continuing would silently repeat or skip events, so nothing was sent: run `outbox \
                 adopt{names} --without-kafka-cursor --database-url <url>` to go on from the database's cursor (what \
                 was delivered and the database does not know comes twice)"
            ),
        )
    }
}

fn without_generations() -> StoreError {
    StoreError::new(
        StoreErrorKind::Undecided,
        "this store delivers at least once only",
    )
}
