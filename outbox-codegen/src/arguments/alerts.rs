//! When an alert fires, as far as a team decides that.

use std::time::Duration;

use clap::Args;

use crate::alerts::Thresholds;
use crate::duration::duration;

/// Thresholds of the alerts; the dashboard shows them, too. Omitted thresholds are taken from `outbox.toml`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThresholdOptions {
    /// Maximum age of the oldest message in the backlog [default: from outbox.toml, or 1m].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    backlog_age: Option<Duration>,

    /// Maximum number of messages in a growing backlog [default: from outbox.toml, or 10000].
    #[arg(long, value_name = "NUMBER")]
    backlog_records: Option<u64>,

    /// Maximum size in bytes of the messages' table, predicted for the next day from its growth in the last
    /// six hours [default: from outbox.toml, or 100000000000].
    #[arg(long, value_name = "BYTES")]
    table_bytes: Option<u64>,

    /// Maximum age of an open transaction [default: from outbox.toml, or 10m].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    transaction_age: Option<Duration>,

    /// Maximum lag, in messages, of a consumer that makes no progress [default: from outbox.toml, or 100].
    #[arg(long, value_name = "NUMBER")]
    consumer_lag: Option<u64>,

    /// Maximum number of changes of the active relay within 15 minutes [default: from outbox.toml, or 3].
    #[arg(long, value_name = "NUMBER")]
    leader_changes: Option<u64>,
}

impl ThresholdOptions {
    /// What the command line says of the thresholds, and what is configured where it says nothing.
    pub(crate) fn or(&self, configured: &Thresholds) -> Thresholds {
        Thresholds {
            backlog_age: self.backlog_age.unwrap_or(configured.backlog_age),
            backlog_records: self.backlog_records.unwrap_or(configured.backlog_records),
            table_bytes: self.table_bytes.unwrap_or(configured.table_bytes),
            transaction_age: self.transaction_age.unwrap_or(configured.transaction_age),
            consumer_lag: self.consumer_lag.unwrap_or(configured.consumer_lag),
            leader_changes: self.leader_changes.unwrap_or(configured.leader_changes),
        }
    }
}
