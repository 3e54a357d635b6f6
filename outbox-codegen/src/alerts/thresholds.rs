//! When an alert fires, as far as a team decides that.

use std::time::Duration;

/// Thresholds of the alerts, which the dashboard shows as well.
#[derive(Debug, Clone)]
pub(crate) struct Thresholds {
    /// Maximum age of the oldest message in the backlog.
    pub(crate) backlog_age: Duration,

    /// Messages in a growing backlog.
    pub(crate) backlog_records: u64,

    /// Bytes that the messages' table must not reach within a day, at the speed of the last six hours.
    pub(crate) table_bytes: u64,

    /// Maximum age of an open transaction.
    pub(crate) transaction_age: Duration,

    /// Messages that a consumer may be behind while it processes none.
    pub(crate) consumer_lag: u64,

    /// Changes of the active relay within 15 minutes.
    pub(crate) leader_changes: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            backlog_age: Duration::from_secs(60),
            backlog_records: 10_000,
            table_bytes: 100_000_000_000,
            transaction_age: Duration::from_secs(600),
            consumer_lag: 100,
            leader_changes: 3,
        }
    }
}
