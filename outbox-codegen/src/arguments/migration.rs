//! `outbox migration …`

use clap::{Args, Subcommand};

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Migration {
    #[command(subcommand)]
    pub(crate) what: MigrationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrationCommand {
    /// Compare a database's tables with what this version works with: columns, constraints, indexes.
    ///
    /// A table, column, type or key that is missing or different is an error and ends with exit code 3. A missing
    /// index or check is a warning. What is there beyond the expected is ignored. Only the catalog is read.
    Check(MigrationCheck),
}

#[derive(Debug, Args)]
pub(crate) struct MigrationCheck {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Exit 3 for warnings, too.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
