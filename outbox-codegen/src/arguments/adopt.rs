//! `outbox adopt`

use clap::{Args, ValueEnum};
use outbox_runtime::store;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Adopt {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Ignore the cursor, and send or skip every message in the log, delivered or not.
    ///
    /// Use it if the cursor's row is lost, or to send all messages again to a Kafka cluster that lost its
    /// data.
    #[arg(long, value_name = "WHAT")]
    pub(crate) without_cursor: Option<WithoutCursor>,

    /// Use only the cursor in the database, if exactly-once delivery stopped because Kafka's cursor contradicts it.
    ///
    /// Messages that were delivered since that cursor was written are sent twice.
    #[arg(long)]
    pub(crate) without_kafka_cursor: bool,

    /// Print the changes without making them.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WithoutCursor {
    Send,
    Skip,
}

impl From<WithoutCursor> for store::WithoutCursor {
    fn from(what: WithoutCursor) -> Self {
        match what {
            WithoutCursor::Send => Self::SendAll,
            WithoutCursor::Skip => Self::SkipAll,
        }
    }
}
