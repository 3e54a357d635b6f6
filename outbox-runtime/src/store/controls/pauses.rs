//! What is paused, as an operator and as a relay sees it.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// The scope of a pause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PauseScope {
    /// The whole log: nothing of it is read or sent.
    Log,
    /// A topic: its records are parked in the dead letters, in order. Other topics continue.
    Topic(String),
    /// A key: its records are parked in the dead letters, in order. Other keys continue.
    Key(PausedKey),
}

/// A key that can be paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PausedKey {
    /// The topic; `None` for all.
    pub topic: Option<String>,
    /// The key.
    pub key: String,
}

/// Between a topic and a key: no topic's name contains it.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
const BETWEEN: char = '/';

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl PauseScope {
    /// The columns `scope` and `name`.
    pub(super) fn stored(&self) -> (&'static str, Cow<'_, str>) {
        match self {
            Self::Log => ("log", "".into()),
            Self::Topic(topic) => ("topic", topic.into()),
            Self::Key(PausedKey { topic, key }) => {
                let topic = topic.as_deref().unwrap_or_default();
                ("key", format!("{topic}{BETWEEN}{key}").into())
            }
        }
    }

    /// From the columns `scope` and `name`.
    fn of(scope: &str, name: String) -> Option<Self> {
        match scope {
            "log" => Some(Self::Log),
            "topic" => Some(Self::Topic(name)),
            "key" => {
                let (topic, key) = name.split_once(BETWEEN)?;
                Some(Self::Key(PausedKey {
                    topic: (!topic.is_empty()).then(|| topic.to_owned()),
                    key: key.to_owned(),
                }))
            }
            _ => None,
        }
    }
}

impl PauseScope {
    /// A key, in one topic or in all.
    pub fn key(topic: Option<&str>, key: impl Into<String>) -> Self {
        Self::Key(PausedKey {
            topic: topic.map(str::to_owned),
            key: key.into(),
        })
    }

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
            Self::Key(PausedKey { topic: None, key }) => write!(f, "the key {key}"),
            Self::Key(PausedKey {
                topic: Some(topic),
                key,
            }) => write!(f, "the key {key} of the topic {topic}"),
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
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: String,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Pause {
    /// `None` for another decision, and for what this version cannot pause; the table's constraint does not let that in.
    pub(in crate::store) fn of(row: super::interventions::Decided) -> Option<Self> {
        if row.control != "pause" {
            return None;
        }
        Some(Self {
            scope: PauseScope::of(&row.scope, row.name)?,
            since: row.changed_at,
            by: row.changed_by,
            reason: row.reason,
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

/// The pauses that a relay applies, each with its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    log: Option<String>,
    topics: BTreeMap<String, String>,
    /// By key: in which topics, `None` for all.
    keys: BTreeMap<String, BTreeMap<Option<String>, String>>,
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

    /// Why a key is paused in a topic; `None` if it is not.
    pub fn key(&self, topic: &str, key: &str) -> Option<&str> {
        if self.keys.is_empty() {
            return None;
        }
        let topics = self.keys.get(key)?;
        let found = topics
            .iter()
            .find(|(paused, _)| paused.as_deref().is_none_or(|paused| paused == topic));
        found.map(|(_, why)| why.as_str())
    }

    /// The keys that are paused, as they are stored: a topic or nothing, a slash, the key.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(in crate::store) fn stored_keys(&self) -> Vec<String> {
        let keys = self.keys.iter();
        keys.flat_map(|(key, topics)| topics.keys().map(move |topic| (topic, key)))
            .map(|(topic, key)| format!("{}{BETWEEN}{key}", topic.as_deref().unwrap_or_default()))
            .collect()
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
                PauseScope::Key(PausedKey { topic, key }) => {
                    all.keys.entry(key).or_default().insert(topic, why);
                }
            }
        }
        all
    }
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    fn pause(scope: PauseScope) -> Pause {
        Pause {
            scope,
            since: DateTime::UNIX_EPOCH,
            by: "ana".to_owned(),
            reason: "why".to_owned(),
        }
    }

    #[test]
    fn a_scope_is_stored_and_found_again() {
        for scope in [
            PauseScope::Log,
            PauseScope::Topic("orders".to_owned()),
            PauseScope::key(None, "a/b"),
            PauseScope::key(Some("orders"), "/7"),
            PauseScope::key(None, ""),
        ] {
            let (word, name) = scope.stored();
            assert_eq!(PauseScope::of(word, name.into_owned()), Some(scope));
        }
        assert_eq!(PauseScope::of("key", "without".to_owned()), None);
    }

    #[test]
    fn a_key_is_paused_in_its_topic_or_in_all() {
        let pauses: Pauses = [
            pause(PauseScope::key(Some("orders"), "7")),
            pause(PauseScope::key(None, "8")),
        ]
        .into_iter()
        .collect();
        assert!(pauses.key("orders", "7").is_some() && pauses.key("others", "7").is_none());
        assert!(pauses.key("orders", "8").is_some() && pauses.key("others", "8").is_some());
        assert!(pauses.key("orders", "9").is_none());
        assert_eq!(pauses.stored_keys(), ["orders/7", "/8"]);
    }
}
