//! When an alert fires, as far as a team decides that.

use std::time::Duration;

use clap::Args;

use crate::alerts::Thresholds;
use crate::duration::duration;

/// Thresholds of the alerts, which the dashboard shows as well.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThresholdOptions {
    /// Maximum age of the oldest message in the backlog.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    backlog_age: Duration,

    /// Messages in a growing backlog.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    backlog_records: u64,

    /// Bytes that the messages' table must not reach within a day, at the speed of the last six hours.
    #[arg(long, value_name = "BYTES", default_value_t = 100_000_000_000)]
    table_bytes: u64,

    /// Maximum age of an open transaction.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    transaction_age: Duration,

    /// Messages that a consumer may be behind while it processes none.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    consumer_lag: u64,

    /// Changes of the active relay within 15 minutes.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    leader_changes: u64,
}

impl ThresholdOptions {
    /// What the command line says of the thresholds.
    pub(crate) fn thresholds(&self) -> Thresholds {
        let Self {
            backlog_age,
            backlog_records,
            table_bytes,
            transaction_age,
            consumer_lag,
            leader_changes,
        } = *self;
        Thresholds {
            backlog_age,
            backlog_records,
            table_bytes,
            transaction_age,
            consumer_lag,
            leader_changes,
        }
    }
}

impl From<Thresholds> for ThresholdOptions {
    fn from(thresholds: Thresholds) -> Self {
        let Thresholds {
            backlog_age,
            backlog_records,
            table_bytes,
            transaction_age,
            consumer_lag,
            leader_changes,
        } = thresholds;
        Self {
            backlog_age,
            backlog_records,
            table_bytes,
            transaction_age,
            consumer_lag,
            leader_changes,
        }
    }
}
