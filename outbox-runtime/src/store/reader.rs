//! The reading side of a store: pages in order, and the cursor that follows what was settled.

use std::future::Future;

use super::StoreError;
use crate::record::RecordPage;

/// How much one page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Rows at the most.
    pub rows: usize,
    /// Payload bytes at the most; a single larger record comes alone.
    pub bytes: usize,
}

/// A record's place in the order of reading. Everything up to it and including it is settled.
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
    /// The row.
    pub seq: i64,
    /// Its event id.
    pub id: uuid::Uuid,
    /// A word for programs, such as `too_large`.
    pub reason: &'static str,
    /// A sentence for people.
    pub error: String,
}

/// A connection that reads the log in order and writes the cursor.
///
/// Rows come once for each reader, in an order that keeps the contract's *precedes*. After any error the reader
/// is dropped and a new one opened, which starts at the last persisted mark.
pub trait Reader: Send + 'static {
    /// How many of the records to come may have been delivered before, because the database went back to an
    /// earlier moment: a fail-over or a restore. Known when the reader is opened; an estimate where there are many.
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
    fn dead_letter(&mut self, letter: &DeadLetter) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes down which cluster of brokers takes the records, fenced like the cursor, and returns the one that was
    /// written down before. A store that does not remember it returns `None`.
    fn note_broker(
        &mut self,
        cluster: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send {
        let _ = cluster;
        std::future::ready(Ok(None))
    }

    /// Called when the reader is going to rest for a while.
    fn rest(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
