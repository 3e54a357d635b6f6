//! When an alert fires, as far as a team decides that.

use std::time::Duration;

use clap::Args;

use super::shared::duration;

/// Thresholds of the alerts, which the dashboard shows as well.
#[derive(Debug, Clone, Args)]
pub(crate) struct Thresholds {
    /// Maximum age of the oldest message in the backlog.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub(crate) backlog_age: Duration,

    /// Messages in a growing backlog.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub(crate) backlog_records: u64,

    /// Bytes that the messages' table must not reach within a day, at the speed of the last six hours.
    #[arg(long, value_name = "BYTES", default_value_t = 100_000_000_000)]
    pub(crate) table_bytes: u64,

    /// Maximum age of an open transaction.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(crate) transaction_age: Duration,

    /// Messages that a consumer may be behind while it processes none.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub(crate) consumer_lag: u64,

    /// Changes of the active relay within 15 minutes.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
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
