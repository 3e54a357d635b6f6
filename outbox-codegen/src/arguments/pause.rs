//! `outbox pause`, `outbox resume` and `outbox audit`

use clap::Args;
use outbox_runtime::store::PauseScope;

use super::dead_letters::Where;

/// What is paused or resumed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Scope {
    /// The whole log. While it is paused, relays read and send nothing.
    #[arg(long, conflicts_with_all = ["topic", "key"])]
    log: bool,

    /// Only this topic. While it is paused, its messages wait in the dead letters, in order. Other topics are not
    /// affected.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Only this key, in all topics or in --topic. While it is paused, its messages wait in the dead letters, in
    /// order.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Scope {
    pub(crate) fn scope(&self) -> PauseScope {
        match (&self.topic, &self.key) {
            (topic, Some(key)) => PauseScope::key(topic.as_deref(), key),
            (Some(topic), None) => PauseScope::Topic(topic.clone()),
            (None, None) => PauseScope::Log,
        }
    }
}

/// Who does it.
#[derive(Debug, Args)]
pub(crate) struct Operator {
    /// Name of the operator, for the audit table.
    #[arg(
        long,
        value_name = "NAME",
        env = "USER",
        hide_env_values = true,
        default_value = "unknown"
    )]
    pub(crate) by: String,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) operator: Operator,

    /// Reason, for the audit table, `outbox status` and the health check.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) operator: Operator,

    /// Reason, for the audit table.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) place: Where,

    /// Maximum number of entries.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(crate) limit: u32,

    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}
