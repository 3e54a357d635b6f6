//! The reading side of a store: pages in order, and the cursor that follows what was settled.

use std::future::Future;

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
    pub id: uuid::Uuid,
    /// The reason code, such as `too_large`.
    pub reason: &'static str,
    /// The text of the error.
    pub error: String,
}

/// Identifies a row, even if the database went back and its seq was used again.
pub type RowId = (i64, uuid::Uuid);

/// The word for programs of rows that wait behind another one of their key.
pub(crate) const BEHIND_DEAD: &str = "behind_dead";

/// The word for programs of rows whose topic somebody has paused.
pub(crate) const TOPIC_PAUSED: &str = "topic_paused";

/// The word for programs of rows beyond what their topic may send in a second.
pub(crate) const TOPIC_THROTTLED: &str = "topic_throttled";

/// The word for programs of rows whose key somebody has paused.
pub(crate) const KEY_PAUSED: &str = "key_paused";

/// The word for programs of a row that somebody has skipped. Its key goes on without it, also in a topic that blocks.
pub(crate) const SKIPPED: &str = "skipped";

/// The word for programs of a row that could not be read as a record: a text that is not UTF-8, for instance.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const UNREADABLE: &str = "unreadable";

/// The word for programs of a row that the dead letters do not take as it is.
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

/// A topic and a key.
pub type TopicKey = (String, String);

/// A connection that reads the log in order and writes the cursor.
///
/// Rows come once for each reader, in an order that keeps the contract's *precedes*. After any error the reader
/// is dropped and a new one opened, which starts at the last persisted mark.
pub trait Reader: Generations + 'static {
    /// How many of the records to come may have been delivered before, because the database went back to an earlier
    /// point in time: a fail-over or a restore. Known when the reader is opened; an estimate where there are many.
    fn may_repeat(&self) -> u64 {
        0
    }

    /// The next records behind those already returned; `None` when nothing else is committed.
    fn next_page(
        &mut self,
        limit: PageLimit,
    ) -> impl Future<Output = Result<Option<RecordPage>, StoreError>> + Send;

    /// Writes down that everything up to `settled` is settled. Costs nothing if that is written already.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`](super::StoreErrorKind::Fenced) if the cursor belongs to a later epoch.
    fn persist(&mut self, settled: Mark) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Copies a row into the dead letters, once however often it is called, fenced like the cursor.
    fn dead_letter(
        &mut self,
        dead_letter: &DeadLetter,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes down which cluster of brokers takes the records, fenced like the cursor, and returns the one that was
    /// written down before. A store that does not remember it returns `None`.
    fn note_broker(
        &mut self,
        cluster: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send {
        let _ = cluster;
        std::future::ready(Ok(None))
    }

    /// Says that a row of the dead letters failed again: it is dead, whatever it was, and nobody's wish to send
    /// it again is pending. Fenced like the cursor.
    fn fail_again(&mut self, dead_letter: &DeadLetter)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Copies rows of the log into the dead letters as parked, in this order and behind those that are there,
    /// once however often it is called, fenced like the cursor.
    fn park(&mut self, rows: &[RowId], why: &Parked) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The topics that parked rows wait for.
    fn parked_topics(&mut self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Rows of the dead letters that are to be sent, in the order in which they were written.
    fn dead_letters(
        &mut self,
        which: &Waiting,
        limit: PageLimit,
    ) -> impl Future<Output = Result<DeadLetterPage, StoreError>> + Send;

    /// Copies rows of the log into the dead letters as parked behind the first row of their key there, in this order,
    /// once however often it is called, fenced like the cursor. What it says of each names that row.
    fn park_behind(&mut self, rows: &[RowId]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The topics of the dead letters.
    fn dead_letter_topics(&mut self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// For each of these, whether there are dead letters of it.
    fn have_dead_letters(
        &mut self,
        keys: &[TopicKey],
    ) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// Rows that may go of a topic whose keys wait behind dead ones: of all keys of which somebody wants one sent
    /// again, and of some from `from` on. Takes bounded time however many keys and rows wait.
    fn released(
        &mut self,
        topic: &str,
        from: Option<&str>,
        limit: PageLimit,
    ) -> impl Future<Output = Result<Released, StoreError>> + Send;

    /// What is suspected in this term. A store that does not count terms suspects nothing.
    fn poison_history(&mut self) -> impl Future<Output = Result<PoisonHistory, StoreError>> + Send {
        std::future::ready(Ok(PoisonHistory::default()))
    }

    /// Writes down how it stands with the record that goes alone, while the lease is the holder's.
    fn note_probe(&mut self, probe: PoisonProbe) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = probe;
        std::future::ready(Ok(()))
    }

    /// What operators have decided. Asked when a run begins, and twice a second. A store without such decisions returns
    /// none.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`](super::StoreErrorKind::Fenced) if the cursor is no longer this reader's: it belongs to a
    /// later epoch, or somebody has moved it.
    fn interventions(&mut self) -> impl Future<Output = Result<Interventions, StoreError>> + Send {
        std::future::ready(Ok(Interventions::default()))
    }

    /// From now on rows of the dead letters whose keys are paused here are not returned: they wait. Called once, before
    /// anything of the dead letters is read.
    fn hold_keys(&mut self, pauses: &Pauses) {
        let _ = pauses;
    }

    /// Removes rows from the dead letters, because they were delivered after all; fenced like the cursor.
    fn take_out(&mut self, rows: &[RowId]) -> impl Future<Output = Result<(), StoreError>> + Send;
}
