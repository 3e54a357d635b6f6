//! `outbox throttle`

use clap::Args;
use outbox_runtime::store::{Rate, ThrottleScope};

use super::dead_letters::Where;
use super::pause::Operator;

/// Scope of the throttle.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Scope {
    /// The whole log.
    #[arg(long)]
    log: bool,

    /// Only this topic. Messages above its limit are parked in the dead letters, and sent from there in order.
    /// Other topics are not affected.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

impl Scope {
    pub(crate) fn scope(&self) -> ThrottleScope {
        match &self.topic {
            Some(topic) => ThrottleScope::Topic(topic.clone()),
            None => ThrottleScope::Log,
        }
    }
}

/// The limit.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Limit {
    /// Maximum number of messages per second.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,

    /// Maximum number of bytes of keys and payloads per second.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    bytes: Option<u64>,

    /// Remove the throttle.
    #[arg(long, conflicts_with_all = ["messages", "bytes"])]
    off: bool,
}

impl Limit {
    pub(crate) fn rate(&self) -> Rate {
        Rate {
            messages_per_second: self.messages,
            bytes_per_second: self.bytes,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Throttle {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) operator: Operator,

    /// Reason, for the audit table and `outbox status`.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
}
