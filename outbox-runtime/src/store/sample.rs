//! What is to be measured of a log from time to time, by one process of all that could.

use std::future::Future;
use std::time::Duration;

use super::{Backlog, Store, StoreError};

/// A log's state for metrics. What the database does not report is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSample {
    /// Committed messages that are not settled.
    pub backlog: Backlog,
    /// Whether a relay renewed the lease within its duration.
    pub lease_held: bool,
    /// The lease's epoch.
    pub lease_epoch: i64,
    /// The dead letters.
    pub dead_letters: Vec<DeadLetterCount>,
    /// Size of the messages' table with its partitions, indexes and large values; in SQLite of the database file.
    pub table_bytes: Option<u64>,
    /// Deleted rows of the messages' table that are not vacuumed yet.
    pub dead_tuples: Option<u64>,
    /// Whole partitions ahead of the newest message.
    pub partitions_ahead: Option<u64>,
    /// Age of the oldest open transaction that has written something; zero if there is none.
    pub oldest_transaction: Option<Duration>,
}

/// Number of dead letters of one topic and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCount {
    /// The topic.
    pub topic: String,
    /// `dead` or `parked`.
    pub state: String,
    /// The reason code, such as `too_large`.
    pub reason: String,
    /// Number of records.
    pub records: u64,
}

/// A store whose log can be sampled.
pub trait SampledStore: Store {
    /// A connection that samples.
    type Sampling: Sampling;

    /// Opens a connection that samples.
    fn open_sampling(&self) -> impl Future<Output = Result<Self::Sampling, StoreError>> + Send;
}

/// A connection that samples a log.
pub trait Sampling: Send + 'static {
    /// Whether this connection is the only one that samples the log while it is open. If processes cannot
    /// coordinate in the database, it returns true for all of them.
    fn is_the_only_one(&mut self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes a sample. Reads only, and does not count the log.
    ///
    /// # Errors
    /// The database is unavailable, or the role lacks rights. The connection must not be used again.
    fn sample(&mut self) -> impl Future<Output = Result<LogSample, StoreError>> + Send;
}

impl From<(String, String, String, i64)> for DeadLetterCount {
    fn from((topic, state, reason, records): (String, String, String, i64)) -> Self {
        Self {
            topic,
            state,
            reason,
            records: records.max(0).unsigned_abs(),
        }
    }
}
