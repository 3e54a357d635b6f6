//! `outbox health`

use std::time::Duration;

use clap::Args;
use outbox_runtime::HealthConfig;

use super::shared::{DatabaseUrl, TableNames};
use crate::duration::duration;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  healthy
  1  failed, such as a refused login
  2  wrong usage or configuration
  3  degraded (messages can be committed, and somebody should look) or unhealthy
  4  the database cannot be reached")]
pub(crate) struct Health {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) thresholds: Thresholds,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Thresholds of a healthy log.
#[derive(Debug, Args)]
pub(crate) struct Thresholds {
    /// Timeout of the check.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Maximum number of undelivered messages.
    #[arg(long, value_name = "MESSAGES", default_value_t = 100_000)]
    max_backlog: u64,

    /// Maximum age of the oldest undelivered message, by its `occurred_at`.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    max_age: Duration,

    /// Maximum time without an active relay while there are undelivered messages.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    max_without_relay: Duration,

    /// Maximum time without a delivery while there are undelivered messages.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    max_without_delivery: Duration,

    /// Maximum number of dead letters that an operator has to decide on.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    max_dead_letters: u64,

    /// Minimum number of partitions for future messages.
    #[arg(long, value_name = "PARTITIONS", default_value_t = 2)]
    min_partitions: u32,

    /// Maximum size of the messages with their indexes and partitions (SQLite: of the file), in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 50 * 1024 * 1024 * 1024)]
    max_table_bytes: u64,

    /// Maximum age of an open transaction that has written messages.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    max_transaction_age: Duration,
}

impl Thresholds {
    pub(crate) fn config(&self) -> HealthConfig {
        HealthConfig::new()
            .timeout(self.timeout)
            .backlog(self.max_backlog)
            .oldest_age(self.max_age)
            .no_relay_for(self.max_without_relay)
            .nothing_acknowledged_for(self.max_without_delivery)
            .dead_letters(self.max_dead_letters)
            .partitions_ahead(self.min_partitions)
            .table_bytes(self.max_table_bytes)
            .writer_age(self.max_transaction_age)
    }
}
