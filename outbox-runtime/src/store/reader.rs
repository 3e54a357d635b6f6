//! The reading side of a store: pages in order, and the cursor that follows what was settled.

use std::future::Future;

use uuid::Uuid;

use super::{Generations, Interventions, Pauses, StoreError};
use crate::record::RecordPage;

/// Limits of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Maximum number of rows.
    pub rows: usize,
    /// Maximum payload bytes. A larger record is read alone.
    pub bytes: usize,
}

/// A record's position in the order of reading. All records up to and including it are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The page's window.
    pub window: u64,
    /// The record's seq.
    pub seq: i64,
}

/// A record that no retry can deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The row's `seq`.
    pub seq: i64,
    /// Its event id.
    pub id: Uuid,
    /// The reason code, such as `too_large`.
    pub reason: &'static str,
    /// The text of the error.
    pub error: String,
}

/// Identifies a row, even if the database went back and its seq was used again.
pub type RowId = (i64, Uuid);

/// The reason code of rows that wait for an earlier row of their key.
pub(crate) const BEHIND_DEAD: &str = "behind_dead";

/// The reason code of rows whose topic an operator has paused.
pub(crate) const TOPIC_PAUSED: &str = "topic_paused";

/// The reason code of rows above the throttle of their topic.
pub(crate) const TOPIC_THROTTLED: &str = "topic_throttled";

/// The reason code of rows whose key an operator has paused.
pub(crate) const KEY_PAUSED: &str = "key_paused";

/// The reason code of a row that an operator has skipped. Later rows of its key are sent, also in a topic
/// that blocks.
pub(crate) const SKIPPED: &str = "skipped";

/// The reason code of a row that could not be read as a record, for example because a text is not UTF-8.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const UNREADABLE: &str = "unreadable";

/// The reason code of a row that the dead letters cannot store unchanged.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const NOT_STORABLE: &str = "not_storable";

/// How many rows of one key are read at a time.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const ROWS_OF_A_KEY: usize = 16;

/// How many keys are looked at to find some that may go.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const KEYS_AT_A_TIME: usize = 1_000;

/// Why rows are parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The reason code, such as `topic_unavailable`.
    pub reason: &'static str,
    /// The text of the error.
    pub error: String,
}

/// Rows of the dead letters that wait to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Rows that are parked until this topic accepts records, after this position.
    ForTopic {
        /// The topic.
        topic: String,
        /// The position of the last known row; 0 for all.
        after: i64,
    },
    /// Dead rows with a requested replay, except in topics that do not accept records.
    ForReplay {
        /// Topics that do not accept records.
        except: Vec<String>,
        /// The position of the last known row; 0 for all.
        after: i64,
    },
}

/// Some rows of the dead letters.
#[derive(Debug, Default)]
pub struct DeadLetterPage {
    /// The rows, in the order of their positions. The page's window has no meaning.
    pub records: RecordPage,
    /// The position of the last row; 0 if there is none.
    pub last_position: i64,
}

/// Dead letters of a topic in which dead records block their keys.
#[derive(Debug, Default)]
pub struct Released {
    /// Rows that may be sent: parked rows and those with a requested replay, of each key up to the first dead row
    /// without such a request. Rows of one key are in the order of their positions. The page's window has no meaning.
    pub records: RecordPage,
    /// For each record, whether its key has no later row.
    pub last: Vec<bool>,
    /// The first key of the next page; `None` if this page is the last.
    pub next: Option<String>,
}

/// The current leader term's knowledge of records that may crash the relay's process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoisonHistory {
    /// Number of consecutive terms before this one that crashed without progress.
    pub unended_terms: u64,
    /// The record that was sent alone when its term crashed, and the number of crashes that count against it.
    pub suspect: Option<(RowId, u64)>,
}

/// State of a record that is sent alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoisonProbe {
    /// It is about to be sent. A crash now counts against it only if there is `evidence` that the process and
    /// the broker otherwise work: another record was acknowledged since the process began.
    Begun {
        /// The record.
        row: RowId,
        /// Whether another one was acknowledged.
        evidence: bool,
    },
    /// The process has survived it for a while, so a crash no longer counts against it.
    Postponed,
    /// No record is suspected any more.
    Cleared,
}

/// What happened to the cursor since an earlier reader had claimed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorChange {
    /// Nobody has moved it, and no other relay has claimed it.
    Unchanged,
    /// Another relay has claimed it.
    Claimed,
    /// An operator has moved it.
    Moved,
}

/// A topic and a key.
pub type TopicKey = (String, String);

/// A connection that reads the log in order and writes the cursor.
///
/// Each reader returns each row once, in an order that keeps the contract's *precedes*. After any error, the
/// relay drops the reader and opens a new one, which starts at the last persisted mark.
pub trait Reader: Generations + 'static {
    /// The id of this reader's claim of the cursor, for [`Store::open_reader_after`](super::Store::open_reader_after).
    fn claim_id(&self) -> Uuid;

    /// What happened to the cursor between the earlier claim and this one. [`CursorChange::Unchanged`] if the reader was
    /// opened without an earlier claim.
    fn cursor_change(&self) -> CursorChange;

    /// Number of future records that may have been delivered before, because the database went back to an
    /// earlier point in time by a fail-over or a restore. Known when the reader is opened; a large number is
    /// an estimate.
    fn may_repeat(&self) -> u64 {
        0
    }

    /// Returns the next records; `None` if no more records are committed.
    fn next_page(
        &mut self,
        limit: PageLimit,
    ) -> impl Future<Output = Result<Option<RecordPage>, StoreError>> + Send;

    /// Writes the cursor: all records up to `settled` are settled. Does nothing if this is already written.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`](super::StoreErrorKind::Fenced) if the cursor belongs to a later epoch.
    fn persist(&mut self, settled: Mark) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Copies a row into the dead letters. Idempotent, and fenced like the cursor.
    fn dead_letter(
        &mut self,
        dead_letter: &DeadLetter,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Stores the id of the cluster that receives the records, and returns the previous one. Fenced like the
    /// cursor. A store without this feature returns `None`.
    fn note_broker(
        &mut self,
        cluster: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send {
        let _ = cluster;
        std::future::ready(Ok(None))
    }

    /// Records that a row of the dead letters failed again: its state becomes dead, and a requested replay is
    /// done. Fenced like the cursor.
    fn fail_again(&mut self, dead_letter: &DeadLetter)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Copies rows of the log into the dead letters as parked, in this order and after the existing ones.
    /// Idempotent, and fenced like the cursor.
    fn park(&mut self, rows: &[RowId], why: &Parked) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The topics that parked rows wait for.
    fn parked_topics(&mut self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Rows of the dead letters to send, in the order in which they were written.
    fn dead_letters(
        &mut self,
        which: &Waiting,
        limit: PageLimit,
    ) -> impl Future<Output = Result<DeadLetterPage, StoreError>> + Send;

    /// Copies rows of the log into the dead letters as parked, in this order. Each waits for the first row of
    /// its key there, which its error names. Idempotent, and fenced like the cursor.
    fn park_behind(&mut self, rows: &[RowId]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Those of these rows that are in the dead letters.
    fn in_dead_letters(
        &mut self,
        rows: &[RowId],
    ) -> impl Future<Output = Result<Vec<RowId>, StoreError>> + Send;

    /// The topics of the dead letters.
    fn dead_letter_topics(&mut self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// For each of these keys, whether it has dead letters.
    fn have_dead_letters(
        &mut self,
        keys: &[TopicKey],
    ) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// Rows that may be sent of a topic in which dead records block their keys: of all keys with a requested
    /// replay, and of some keys from `from` on. Takes bounded time, regardless of the number of waiting keys
    /// and rows.
    fn released(
        &mut self,
        topic: &str,
        from: Option<&str>,
        limit: PageLimit,
    ) -> impl Future<Output = Result<Released, StoreError>> + Send;

    /// The suspected record of this term. A store that does not count terms returns none.
    fn poison_history(&mut self) -> impl Future<Output = Result<PoisonHistory, StoreError>> + Send {
        std::future::ready(Ok(PoisonHistory::default()))
    }

    /// Stores the state of the record that is sent alone, if the caller still holds the lease.
    fn note_probe(&mut self, probe: PoisonProbe) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = probe;
        std::future::ready(Ok(()))
    }

    /// The decisions of operators. Called when a run begins, and twice per second. A store without decisions
    /// returns none.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`](super::StoreErrorKind::Fenced) if the cursor is no longer this reader's: it belongs to a
    /// later epoch, or somebody has moved it.
    fn interventions(&mut self) -> impl Future<Output = Result<Interventions, StoreError>> + Send {
        std::future::ready(Ok(Interventions::default()))
    }

    /// Excludes rows of the dead letters whose keys are paused here. Called once, before rows of the dead
    /// letters are read.
    fn hold_keys(&mut self, pauses: &Pauses) {
        let _ = pauses;
    }

    /// Removes delivered rows from the dead letters. Fenced like the cursor.
    fn take_out(&mut self, rows: &[RowId]) -> impl Future<Output = Result<(), StoreError>> + Send;
}
