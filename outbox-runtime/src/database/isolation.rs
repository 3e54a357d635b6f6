//! Isolation levels.

use std::fmt;

/// Isolation level of a transaction, ordered from weak to strict.
///
/// SQLite has one writer: every transaction there is serializable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isolation {
    /// Each statement sees everything that was committed before it.
    ReadCommitted,
    /// The whole transaction sees one snapshot.
    RepeatableRead,
    /// Transactions behave as if they ran one after another.
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
