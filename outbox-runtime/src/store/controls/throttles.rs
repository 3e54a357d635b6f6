//! How much is sent in a second.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use chrono::SecondsFormat;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The scope of a throttle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThrottleScope {
    /// The whole log.
    Log,
    /// A topic. Messages above its limit wait in the dead letters, in order. Other topics continue.
    Topic(String),
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl ThrottleScope {
    /// The columns `scope` and `name`.
    pub(super) fn stored(&self) -> (&'static str, &str) {
        match self {
            Self::Log => ("log", ""),
            Self::Topic(topic) => ("topic", topic),
        }
    }

    fn of(scope: &str, name: String) -> Option<Self> {
        match scope {
            "log" => Some(Self::Log),
            "topic" => Some(Self::Topic(name)),
            _ => None,
        }
    }
}

impl fmt::Display for ThrottleScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("the log"),
            Self::Topic(topic) => write!(f, "the topic {topic}"),
        }
    }
}

/// Limits per second. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Messages.
    pub messages_per_second: Option<u64>,
    /// Bytes of keys and payloads.
    pub bytes_per_second: Option<u64>,
}

impl Rate {
    /// Whether there is no limit.
    pub fn is_unlimited(&self) -> bool {
        self.messages_per_second.is_none() && self.bytes_per_second.is_none()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages_per_second: messages,
            bytes_per_second: bytes,
        } = self;
        match (messages, bytes) {
            (Some(messages), Some(bytes)) => write!(f, "{messages} messages/s and {bytes} bytes/s"),
            (Some(messages), None) => write!(f, "{messages} messages/s"),
            (None, Some(bytes)) => write!(f, "{bytes} bytes/s"),
            (None, None) => f.write_str("no limit"),
        }
    }
}

/// A throttle. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Throttle {
    /// What is throttled.
    #[serde(flatten)]
    pub scope: ThrottleScope,
    /// The limits.
    #[serde(flatten)]
    pub rate: Rate,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Throttle {
    /// `None` for another decision.
    pub(super) fn of(row: super::interventions::Decided) -> Option<Self> {
        if row.control != "throttle" {
            return None;
        }
        Some(Self {
            scope: ThrottleScope::of(&row.scope, row.name)?,
            rate: serde_json::from_str(&row.value?).ok()?,
            since: row.changed_at,
            by: row.changed_by,
            reason: row.reason,
        })
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rate,
            since,
            by,
            reason,
            ..
        } = self;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "throttled to {rate} since {since} by {by}: {reason}")
    }
}

/// The throttles that a relay applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Throttles {
    log: Rate,
    topics: BTreeMap<String, Rate>,
}

impl Throttles {
    /// The limits of the whole log.
    pub fn log(&self) -> Rate {
        self.log
    }

    /// The topics that are throttled.
    pub fn topics(&self) -> impl Iterator<Item = (&str, Rate)> {
        self.topics.iter().map(|(topic, rate)| (topic.as_str(), *rate))
    }
}

impl FromIterator<(ThrottleScope, Rate)> for Throttles {
    fn from_iter<I: IntoIterator<Item = (ThrottleScope, Rate)>>(throttles: I) -> Self {
        let mut all = Self::default();
        for (scope, rate) in throttles {
            match scope {
                ThrottleScope::Log => all.log = rate,
                ThrottleScope::Topic(topic) => drop(all.topics.insert(topic, rate)),
            }
        }
        all
    }
}

impl FromIterator<Throttle> for Throttles {
    fn from_iter<I: IntoIterator<Item = Throttle>>(throttles: I) -> Self {
        throttles
            .into_iter()
            .map(|throttle| (throttle.scope, throttle.rate))
            .collect()
    }
}
