//! `outbox migrate`

use clap::Args;

use super::shared::{ConnectTimeout, DatabaseUrl, Partitions, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) partitions: Partitions,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,
}
