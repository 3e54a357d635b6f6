//! What exactly-once delivery needs of a store: a cursor row that Kafka's cursor completes.
//!
//! A *generation* numbers the windows that were opened while exactly-once delivery was at work. A window is written
//! down with its generation before its first record is sent, and the broker's cursor, which is committed together
//! with the records, says how far that generation is. The two together say what was delivered, whatever the row
//! missed of it; and if they do not fit each other, one of them lost what the other still knows.

use std::future::Future;

use uuid::Uuid;

use super::{Mark, RowId, StoreError, StoreErrorKind};

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

/// The generations of a log. Every method has a default, for a store that delivers at least once only.
pub trait Generations: Send {
    /// What was claimed; `None` if this store has no generations.
    fn claimed(&self) -> Option<ClaimedCursor> {
        None
    }

    /// Makes sure that the cursor is still this reader's, and with it the row as it was claimed.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`] if it is not.
    fn confirm(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Err(without_generations()))
    }

    /// The window that the row leaves open was delivered up to `seq`: what is read starts behind it. To be called
    /// before anything was read.
    fn resume_behind(&mut self, seq: i64) {
        let _ = seq;
    }

    /// Writes down that from now on the broker's cursor completes the row, fenced like the cursor.
    fn begin_generations(&mut self, generation: i64) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = generation;
        std::future::ready(Err(without_generations()))
    }

    /// Writes down a window with its generation, and that all windows before it are settled; fenced like the cursor,
    /// and durable when it returns.
    fn begin_window(
        &mut self,
        window: u64,
        generation: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (window, generation);
        std::future::ready(Err(without_generations()))
    }

    /// Writes down where the reader starts, and that the row alone says so from now on; fenced like the cursor.
    fn end_generations(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Err(without_generations()))
    }

    /// The error that ends a relay whose cursors contradict each other, with what to run.
    fn contradiction(&self, contradiction: Contradiction) -> StoreError {
        contradiction.into_error("")
    }

    /// Which of these rows stand in the dead letters.
    fn in_dead_letters(
        &mut self,
        rows: &[RowId],
    ) -> impl Future<Output = Result<Vec<RowId>, StoreError>> + Send {
        let _ = rows;
        std::future::ready(Err(without_generations()))
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
