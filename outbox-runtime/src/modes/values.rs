//! Modes and their scopes, as operators and services name them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// How events reach Kafka.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Events are committed to the log with the transaction, and a relay sends them.
    #[default]
    Outbox,
    /// The process that committed sends events after the commit. If it crashes, events that are not sent yet
    /// are lost.
    Direct,
    /// The service publishes events itself. The outbox sends its records to another topic, or does not send
    /// them.
    Shadow,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outbox, Self::Direct, Self::Shadow];

    /// The name in the database, in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Direct => "direct",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not the name of a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode: write `outbox`, `direct` or `shadow`")]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == word);
        found.ok_or_else(|| UnknownMode(word.to_owned()))
    }
}

/// Scope of a mode. The narrowest scope with a setting applies: the event's type, then its topic, then its aggregate's
/// type, then the whole log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModeScope {
    /// The whole log.
    Log,
    /// Events of this aggregate type.
    Aggregate(String),
    /// Events of this topic.
    Topic(String),
    /// Events of this type, such as `OrderPlacedV1`.
    EventType(String),
}

#[cfg(feature = "postgres")]
impl ModeScope {
    /// The columns `scope` and `name`.
    pub(crate) fn stored(&self) -> (&'static str, &str) {
        match self {
            Self::Log => ("log", ""),
            Self::Aggregate(name) => ("aggregate", name),
            Self::Topic(name) => ("topic", name),
            Self::EventType(name) => ("event_type", name),
        }
    }

    /// `None` for a word that this version does not know; the table's constraint does not let it in.
    pub(crate) fn of(scope: &str, name: String) -> Option<Self> {
        match scope {
            "log" => Some(Self::Log),
            "aggregate" => Some(Self::Aggregate(name)),
            "topic" => Some(Self::Topic(name)),
            "event_type" => Some(Self::EventType(name)),
            _ => None,
        }
    }
}

impl fmt::Display for ModeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("the log"),
            Self::Aggregate(name) => write!(f, "the aggregate type {name}"),
            Self::Topic(name) => write!(f, "the topic {name}"),
            Self::EventType(name) => write!(f, "the event type {name}"),
        }
    }
}

/// A mode that was set. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModeSetting {
    /// The scope.
    #[serde(flatten)]
    pub scope: ModeScope,
    /// The mode; `None` if it was removed, so that a wider scope or the writers' default applies.
    pub mode: Option<Mode>,
    /// The time of the change.
    pub since: DateTime<Utc>,
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
}

#[cfg(feature = "postgres")]
impl ModeSetting {
    pub(crate) fn new(
        scope: ModeScope,
        mode: Option<Mode>,
        (since, by, reason): (DateTime<Utc>, String, String),
    ) -> Self {
        Self {
            scope,
            mode,
            since,
            by,
            reason,
        }
    }
}

/// Topic of the messages of [`Mode::Shadow`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShadowTarget {
    /// Through the log to the topic with this suffix.
    Suffix(String),
    /// Messages are built and checked as always, but not written.
    Nowhere,
}

/// Outcome of the directly sent events of a transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Direct {
    /// Topic of each event that the broker has acknowledged.
    pub delivered: Vec<String>,
    /// The events that count as lost.
    pub lost: Vec<Lost>,
}

/// An event that was committed but not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The event's id.
    pub id: Uuid,
    /// Its topic.
    pub topic: String,
    /// Why.
    pub error: String,
}
