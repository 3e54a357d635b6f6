//! `outbox rewind`

use chrono::{DateTime, Utc};
use clap::Args;
use outbox_runtime::store::RewindTo;

use super::dead_letters::Where;
use super::pause::Operator;

/// The first message to send again.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Beginning {
    /// The first message that occurred at this time or later, such as 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    to_time: Option<DateTime<Utc>>,

    /// The message with this seq.
    #[arg(long, value_name = "SEQ")]
    to_seq: Option<i64>,
}

impl Beginning {
    pub(crate) fn to(&self) -> RewindTo {
        match (self.to_time, self.to_seq) {
            (Some(time), _) => RewindTo::Time(time),
            (None, seq) => RewindTo::Seq(seq.unwrap_or(i64::MAX)),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Rewind {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) operator: Operator,
    #[command(flatten)]
    pub(crate) beginning: Beginning,

    /// Send the messages again. Without this option, only print their number.
    #[arg(long, requires = "reason")]
    pub(crate) send_again: bool,

    /// Reason, for the audit table.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
