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

    /// Go by no cursor: send all that is in the log, delivered before or not, or skip all of it.
    ///
    /// For a log whose cursor row is gone, and for one that is to be sent anew to a Kafka that lost it.
    #[arg(long, value_name = "WHAT")]
    pub(crate) without_cursor: Option<WithoutCursor>,

    /// Go by the database's cursor alone, where exactly-once delivery stopped because Kafka's contradicts it.
    ///
    /// What was delivered and the database does not know comes twice.
    #[arg(long)]
    pub(crate) without_kafka_cursor: bool,

    /// Say what would be done, and change nothing.
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
