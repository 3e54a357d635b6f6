//! How a transaction is begun.

use crate::database::Isolation;

/// Options of [`Outbox::transaction_with`](crate::Outbox::transaction_with).
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
    /// Creates options with the database's default isolation and no retries.
    pub const fn new() -> Self {
        Self {
            isolation: None,
            retries: 0,
        }
    }

    /// Sets the isolation level. Joining a transaction with a weaker level fails.
    pub const fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Retries up to `retries` times if concurrent transactions make this one fail: a serialization failure
    /// or a deadlock (SQLSTATE 40001, 40P01), or a busy or locked SQLite.
    ///
    /// Between attempts there is a pause of random length, at first some 10 ms, doubled each time up to 1 s.
    /// A call that has joined a transaction is not retried: its outermost one is, if that asks for it.
    pub const fn retry(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }
}
