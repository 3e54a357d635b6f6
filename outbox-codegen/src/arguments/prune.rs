//! `outbox prune`

use std::time::Duration;

use clap::Args;
use outbox_runtime::retention::Keep;

use super::retention::{age, keep, size};
use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    #[command(flatten)]
    pub(crate) what: What,

    /// Maximum number of rows per transaction.
    #[arg(long, value_name = "ROWS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch: u32,

    /// Print the number of rows that would be deleted, without deleting them.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to delete: at least one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct What {
    /// Delete delivered messages that are older than this, such as `7d`, or all of them: `until-acknowledged`.
    #[arg(long, value_name = "AGE", value_parser = keep)]
    pub(crate) keep: Option<Keep>,

    /// Delete the oldest delivered messages until the log is at most this large, such as `10GB`.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) keep_bytes: Option<u64>,

    /// Delete dead letters whose last failure is older than this, such as `90d`. They cannot be recovered.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) dead_letters: Option<Duration>,
}
