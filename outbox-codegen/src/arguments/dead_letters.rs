//! `outbox dead-letters`

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames, duration};

#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    pub(crate) what: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List them in the order in which they were set aside.
    List(List),
    /// Show one with its headers and its payload.
    Show(Show),
    /// Have dead ones sent again by the active relay. What is parked goes out by itself.
    Replay(Replay),
    /// Delete dead ones for good.
    Discard(Discard),
}

/// Where the dead letters are.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,
}

/// Which of them are meant; all conditions have to hold.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Event ids.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,

    /// Those for this topic.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    /// Those with this key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Those of this event type.
    #[arg(long, value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// Those that failed for the first time then or later, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "RFC3339")]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Those that failed for the first time before then.
    #[arg(long, value_name = "RFC3339")]
    pub(crate) until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// No retry can cure them.
    Dead,
    /// They wait until their topic takes records.
    Parked,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Those in this state.
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,

    /// At most so many.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,

    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) place: Where,

    /// The event's id.
    #[arg(value_name = "ID")]
    pub(crate) id: Uuid,

    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,

    /// Only say how many there are.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Wait until the active relay has sent them, or failed to.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,

    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Discard {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,

    /// Discard parked ones instead, which would go out by themselves once their topic takes them.
    #[arg(long)]
    pub(crate) parked: bool,

    /// Only say how many there are.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
