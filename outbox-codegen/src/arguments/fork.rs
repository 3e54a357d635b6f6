//! `outbox fork`

use clap::Args;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Fork {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Send the messages that the copied cursor has not passed: those that the original had not delivered when the copy was
    /// made (the original sends them too), and those written to the copy since.
    #[arg(long)]
    pub(crate) send_backlog: bool,

    /// The log was copied as files (base backup, disk image, SQLite file), which cannot be detected.
    #[arg(long)]
    pub(crate) physical_copy: bool,

    /// Print what would be done, without changing anything.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
