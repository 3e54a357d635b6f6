//! `outbox skip`

use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use super::dead_letters::Where;
use super::pause::Operator;
use crate::duration::duration;

#[derive(Debug, Args)]
pub(crate) struct Skip {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) operator: Operator,

    /// Id of the event.
    pub(crate) id: Uuid,

    /// Reason, for the audit table and the dead letter.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: String,

    /// Cancel the request, if the message has not been skipped yet.
    #[arg(long)]
    pub(crate) cancel: bool,

    /// Maximum time to wait until the message is skipped. The request stays valid after that.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
}
