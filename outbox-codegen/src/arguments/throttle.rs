//! `outbox throttle`

use clap::Args;
use outbox_runtime::store::{Rate, ThrottleScope};

use super::dead_letters::Where;
use super::pause::Operator;

/// What is throttled.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Scope {
    /// The whole log.
    #[arg(long)]
    log: bool,

    /// Only this topic: what is beyond its limit waits in the dead letters, in order, and other topics go on.
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

/// To how much.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Limit {
    /// Messages in a second at the most.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,

    /// Bytes of keys and payloads in a second at the most.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    bytes: Option<u64>,

    /// Take the throttle back.
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

    /// Why, for the audit table and `outbox status`.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
}
