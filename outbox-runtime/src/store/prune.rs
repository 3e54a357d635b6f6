//! The interface through which retention deletes delivered messages.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::StoreError;

/// A connection that deletes settled messages and old dead letters.
///
/// A message is settled if the cursor *in the database* records it. Every method that deletes reads and locks
/// that cursor in the transaction that deletes, so that the cursor cannot move back meanwhile. A message that
/// is not settled is never deleted.
///
/// Cancellation: a dropped future has deleted everything of one call or nothing. After an error, the
/// connection must not be used again.
pub trait Pruning: Send {
    /// How the log is stored, which decides how messages are deleted.
    ///
    /// # Errors
    /// The database failed.
    fn layout(&mut self) -> BoxFuture<'_, Result<StoredAs, StoreError>>;

    /// Deletes those of the next messages that need not be kept. Not for a log with partitions.
    ///
    /// # Errors
    /// The database's; [`StoreErrorKind::ForeignCluster`](super::StoreErrorKind::ForeignCluster) if the
    /// cursor was written elsewhere and is not valid for these messages.
    fn prune(&mut self, piece: Piece) -> BoxFuture<'_, Result<PrunedPiece, StoreError>>;

    /// The size of the next messages, settled or not. Deletes nothing.
    ///
    /// # Errors
    /// The database failed.
    fn weigh(&mut self, after: i64, rows: u32) -> BoxFuture<'_, Result<Weighed, StoreError>>;

    /// Empties a partition if none of its messages must be kept.
    ///
    /// # Errors
    /// As [`prune`](Self::prune).
    fn prune_partition<'a>(
        &'a mut self,
        partition: &'a FullPartition,
        older_than: Option<Duration>,
        dry_run: bool,
    ) -> BoxFuture<'a, Result<PartitionEnd, StoreError>>;

    /// Drops an empty partition. Returns `false` if other sessions use the log, so that it would have to
    /// wait.
    ///
    /// # Errors
    /// The database failed.
    fn drop_partition<'a>(
        &'a mut self,
        partition: &'a FullPartition,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Deletes dead letters whose last failure is longer ago than this, oldest first, and returns their
    /// number. Keeps parked ones, those with a requested replay, and those that parked ones wait for.
    ///
    /// # Errors
    /// The database failed.
    fn prune_dead_letters(
        &mut self,
        older_than: Duration,
        rows: u32,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Returns the space of deleted messages to the file system, as far as small steps allow.
    ///
    /// # Errors
    /// The database failed.
    fn give_space_back(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// How a log is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredAs {
    /// In one table.
    Table,
    /// In partitions.
    Partitions {
        /// Full partitions, which get no more messages, in order, without the default partition.
        full: Vec<FullPartition>,
        /// Size of all partitions with their indexes.
        bytes: u64,
    },
}

/// A partition that is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullPartition {
    /// Its name, quoted for SQL.
    pub name: String,
    /// Upper bound of its `seq` values, exclusive.
    pub below: i64,
    /// Its size with its indexes.
    pub bytes: u64,
}

/// A range of messages, and the condition for their deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Only messages with a greater seq.
    pub after: i64,
    /// Maximum number of messages to check.
    pub rows: u32,
    /// Delete only messages that occurred longer ago than this. `None`: settled messages of any age.
    pub older_than: Option<Duration>,
    /// Also return the size of the deleted messages.
    pub weighed: bool,
    /// Return what would be deleted, without deleting it.
    pub dry_run: bool,
}

/// Result of the deletion in a [`Piece`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrunedPiece {
    /// The last message that was checked. `None`: there are no more messages up to the cursor.
    pub last_looked_at: Option<i64>,
    /// The last message that was deleted.
    pub last_deleted: Option<i64>,
    /// Number of deleted messages.
    pub deleted: u64,
    /// Their size, if it was asked for.
    pub bytes: u64,
}

/// The size of some messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weighed {
    /// The last of them. `None`: there are no more.
    pub last: Option<i64>,
    /// Their approximate size, including rows and index entries.
    pub bytes: u64,
}

/// Outcome for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionEnd {
    /// It contains messages that are kept.
    Kept,
    /// It is in use; nothing was changed.
    Busy,
    /// It was empty before.
    Empty,
    /// It was emptied; in a dry run, it would be.
    Emptied {
        /// Number of messages in it.
        messages: u64,
    },
}
