//! `outbox dead-letters`

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};
use crate::duration::duration;

#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    pub(crate) what: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List dead letters in the order in which they were stored.
    List(List),
    /// Show one dead letter with its headers and payload.
    Show(Show),
    /// Make the active relay send dead messages again. Parked messages are sent automatically.
    Replay(Replay),
    /// Delete dead messages permanently.
    Discard(Discard),
}

/// The database with the dead letters.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,
}

/// Filters; a dead letter must match all of them.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Event ids.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,

    /// Only this topic.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    /// Only this key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Only this event type.
    #[arg(long, value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// Only messages that first failed at or after this time, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "RFC3339")]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Only messages that first failed before this time.
    #[arg(long, value_name = "RFC3339")]
    pub(crate) until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Failed permanently.
    Dead,
    /// Waiting until their topic or key accepts records again.
    Parked,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Only this state.
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,

    /// Maximum number of dead letters.
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

    /// The event id.
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

    /// Select all of them; cannot be combined with filters.
    #[arg(long)]
    pub(crate) all: bool,

    /// Only print the number of matching messages.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Wait until the active relay has sent each message or failed to send it.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,

    /// Maximum time to wait.
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

    /// Select all of them; cannot be combined with filters.
    #[arg(long)]
    pub(crate) all: bool,

    /// Discard parked messages instead of dead ones. The relay would otherwise send them later.
    #[arg(long)]
    pub(crate) parked: bool,

    /// Only print the number of matching messages.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
