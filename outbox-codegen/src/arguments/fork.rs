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

    /// Send what the copy's cursor does not call delivered: what was written in the copy so far, and what the original had
    /// not delivered when the copy was made. The original sends the latter as well.
    #[arg(long)]
    pub(crate) send_backlog: bool,

    /// This is a copy of the server's files, or of an SQLite file, which nothing else tells from its original.
    #[arg(long)]
    pub(crate) physical_copy: bool,

    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
