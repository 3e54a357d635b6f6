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

    /// Also send the messages that the original had not delivered when the copy was made, and the messages that
    /// were written to the copy since then. The original sends the former as well.
    #[arg(long)]
    pub(crate) send_backlog: bool,

    /// State that the log was copied as files (base backup, disk image, SQLite file). This cannot be
    /// detected.
    #[arg(long)]
    pub(crate) physical_copy: bool,

    /// Print the changes without making them.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
