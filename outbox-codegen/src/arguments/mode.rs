//! `outbox mode`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use outbox_runtime::modes;

use super::dead_letters::Where;
use super::pause::Operator;
use crate::duration::duration;

#[derive(Debug, Args)]
pub(crate) struct Mode {
    #[command(subcommand)]
    pub(crate) what: ModeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModeCommand {
    /// Set how events reach Kafka. The order of each key is kept.
    ///
    /// Services whose outbox was built with modes apply it at their next commit. Before a change to `direct` or
    /// `shadow`, the command waits until the relay has delivered the log. Before a change back, it waits until
    /// Kafka has acknowledged the events that services are sending. Transactions that emit events wait only at
    /// the end of that time. If the timeout passes, nothing is changed.
    Set(ModeSet),
    /// List the modes that are set: who set each, when and why.
    List(ModeList),
}

/// Scope of the mode. The narrowest scope takes precedence: event type, then topic, aggregate type, log.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ModeScope {
    /// The whole log.
    #[arg(long)]
    log: bool,

    /// Events of this aggregate type.
    #[arg(long, value_name = "TYPE")]
    aggregate: Option<String>,

    /// Events of this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Events of this type.
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
}

impl ModeScope {
    pub(crate) fn scope(&self) -> modes::ModeScope {
        let Self {
            log: _,
            aggregate,
            topic,
            event_type,
        } = self;
        match (event_type, topic, aggregate) {
            (Some(event_type), _, _) => modes::ModeScope::EventType(event_type.clone()),
            (None, Some(topic), _) => modes::ModeScope::Topic(topic.clone()),
            (None, None, Some(aggregate)) => modes::ModeScope::Aggregate(aggregate.clone()),
            (None, None, None) => modes::ModeScope::Log,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// Through the log and a relay.
    Outbox,
    /// The service sends events after its commit. A crash loses events that are not sent yet.
    Direct,
    /// The service publishes events itself. The outbox sends them to a shadow topic, or does not send them.
    Shadow,
    /// Remove the setting. The setting of a wider scope applies, or the service's default.
    Default,
}

impl ModeName {
    pub(crate) fn mode(self) -> Option<modes::Mode> {
        match self {
            Self::Outbox => Some(modes::Mode::Outbox),
            Self::Direct => Some(modes::Mode::Direct),
            Self::Shadow => Some(modes::Mode::Shadow),
            Self::Default => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ModeSet {
    /// The mode.
    #[arg(value_name = "MODE")]
    pub(crate) mode: ModeName,
    #[command(flatten)]
    pub(crate) scope: ModeScope,
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) operator: Operator,

    /// Reason, for the audit table and `outbox status`.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: String,

    /// Maximum time to wait for the log or for events in flight.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Print what the change would wait for, without changing anything. Exit with 3 if the change would be
    /// refused.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModeList {
    #[command(flatten)]
    pub(crate) place: Where,

    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}
