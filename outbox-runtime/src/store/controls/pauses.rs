//! What is paused, as an operator and as a relay sees it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// What can be paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PauseScope {
    /// The whole log: nothing of it is read or sent.
    Log,
    /// A topic: its records are parked in the dead letters, in order, and other topics go on.
    Topic(String),
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl PauseScope {
    /// The columns `scope` and `name`.
    pub(super) fn stored(&self) -> (&'static str, &str) {
        match self {
            Self::Log => ("log", ""),
            Self::Topic(topic) => ("topic", topic),
        }
    }
}

impl PauseScope {
    /// Whether this is that topic.
    pub(crate) fn is_topic(&self, topic: &str) -> bool {
        matches!(self, Self::Topic(name) if name == topic)
    }
}

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("the log"),
            Self::Topic(topic) => write!(f, "the topic {topic}"),
        }
    }
}

/// A pause. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pause {
    /// What is paused.
    #[serde(flatten)]
    pub scope: PauseScope,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who has paused it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Scope, name, since, by, reason.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) type Row = (String, String, DateTime<Utc>, String, String);

/// The statement that reads a [`Row`] for each pause.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) fn list(controls: &str) -> String {
    format!(
        "SELECT scope, name, changed_at, changed_by, reason FROM {controls}
         WHERE control = 'pause' ORDER BY scope, name"
    )
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Pause {
    /// `None` for what this version cannot pause; the table's constraint does not let it in.
    pub(in crate::store) fn of((scope, name, since, by, reason): Row) -> Option<Self> {
        let scope = match scope.as_str() {
            "log" => PauseScope::Log,
            "topic" => PauseScope::Topic(name),
            _ => return None,
        };
        Some(Self {
            scope,
            since,
            by,
            reason,
        })
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            since, by, reason, ..
        } = self;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "paused since {since} by {by}: {reason}")
    }
}

/// What a relay has to know of pauses: each with a sentence for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    log: Option<String>,
    topics: BTreeMap<String, String>,
}

impl Pauses {
    /// Why the log is paused; `None` if it is not.
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// The topics that are paused, and why.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &str)> {
        self.topics
            .iter()
            .map(|(topic, why)| (topic.as_str(), why.as_str()))
    }

    /// Why a topic is paused; `None` if it is not.
    pub fn topic(&self, topic: &str) -> Option<&str> {
        self.topics.get(topic).map(String::as_str)
    }
}

impl FromIterator<Pause> for Pauses {
    fn from_iter<I: IntoIterator<Item = Pause>>(pauses: I) -> Self {
        let mut all = Self::default();
        for pause in pauses {
            let why = pause.to_string();
            match pause.scope {
                PauseScope::Log => all.log = Some(why),
                PauseScope::Topic(topic) => drop(all.topics.insert(topic, why)),
            }
        }
        all
    }
}
