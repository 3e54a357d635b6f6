//! `outbox tail`

use std::time::Duration;

use clap::Args;
use outbox_runtime::tail::TailFrom;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};
use crate::duration::duration;

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Start position: `now`, `beginning`, or the `seq` of a message.
    #[arg(long, value_name = "PLACE", default_value = "now", value_parser = from)]
    pub(crate) from: TailFrom,

    /// Only messages of this topic, named as in the table, without a prefix; may be repeated.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,

    /// Only events of this type, such as `OrderPlacedV1`; may be repeated.
    #[arg(long, value_name = "TYPE")]
    pub(crate) event_type: Vec<String>,

    /// Only messages with this key; may be repeated.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,

    /// Only messages of aggregates of this type; may be repeated.
    #[arg(long, value_name = "TYPE")]
    pub(crate) aggregate: Vec<String>,

    /// Exit after this many messages.
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) number: Option<u64>,

    /// Exit after the last committed message.
    #[arg(long)]
    pub(crate) no_follow: bool,

    /// Poll interval when idle.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub(crate) interval: Duration,

    /// Print JSON, one object per line.
    #[arg(long)]
    pub(crate) json: bool,
}

fn from(text: &str) -> Result<TailFrom, String> {
    match text {
        "now" => Ok(TailFrom::Now),
        "beginning" => Ok(TailFrom::Beginning),
        seq => match seq.parse() {
            Ok(seq @ 1..) => Ok(TailFrom::Seq(seq)),
            Ok(_) | Err(_) => Err("write `now`, `beginning`, or a `seq` such as 4711".to_owned()),
        },
    }
}
