//! How a transaction is begun.

use std::fmt;

/// How far concurrent transactions are kept apart; ordered from weak to strict.
///
/// SQLite has one writer: every transaction there is serializable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isolation {
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// The whole transaction sees one snapshot.
    RepeatableRead,
    /// As if transactions ran one after another.
    Serializable,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadCommitted => "read_committed",
            Self::RepeatableRead => "repeatable_read",
            Self::Serializable => "serializable",
        })
    }
}

/// How [`Outbox::transaction_with`](crate::Outbox::transaction_with) begins a transaction, and how often.
///
/// ```
/// use outbox_runtime::{Isolation, TransactionOptions};
///
/// let options = TransactionOptions::new().isolation(Isolation::Serializable).retry(3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct TransactionOptions {
    pub(super) isolation: Option<Isolation>,
    pub(super) retries: u32,
}

impl TransactionOptions {
    /// The database's default isolation, no retry.
    pub const fn new() -> Self {
        Self {
            isolation: None,
            retries: 0,
        }
    }

    /// Begins with this isolation. A call that joins a transaction with a weaker one fails.
    pub const fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Begins again, at most `retries` more times, when the database gave up on the transaction because of
    /// others: a serialization failure or a deadlock (SQLSTATE 40001, 40P01), a busy or locked SQLite.
    ///
    /// Between attempts there is a pause of random length, at first some 10 ms, doubled each time up to 1 s.
    /// A call that has joined a transaction is not retried: its outermost one is, if that asks for it.
    pub const fn retry(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }
}
