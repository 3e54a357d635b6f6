//! `[topics.defaults]` and `[topics."name"]`

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::Deserialize;

use super::retention::Retention;

/// Settings of the topics.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Topics(BTreeMap<String, Topic>);

/// The name of the section that holds for all topics.
const DEFAULTS: &str = "defaults";

/// Settings of a topic. Omitted settings are left to the broker.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Topic {
    /// Number of partitions. Changing it moves keys to other partitions.
    pub(crate) partitions: Option<NonZeroU16>,
    /// Number of replicas of each partition.
    pub(crate) replication_factor: Option<NonZeroU16>,
    /// Retention time of records: `"7days"`, `"12h"`, or `"forever"`. Kafka's `retention.ms`.
    retention: Option<Retention>,
    /// Retention size of each partition in bytes. Kafka's `retention.bytes`.
    retention_bytes: Option<NonZeroU64>,
    /// Treatment of old records. Kafka's `cleanup.policy`.
    cleanup_policy: Option<CleanupPolicy>,
    /// Replicas that must have a record before it is acknowledged. Kafka's `min.insync.replicas`.
    min_insync_replicas: Option<NonZeroU16>,
    /// Maximum size of a record batch in bytes. Kafka's `max.message.bytes`.
    max_message_bytes: Option<NonZeroU32>,
    /// Further settings by their Kafka names, such as `"compression.type" = "producer"`.
    settings: BTreeMap<String, Setting>,
}

/// Treatment of records that exceed the retention.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum CleanupPolicy {
    /// Delete them.
    #[serde(rename = "delete")]
    Delete,
    /// Keep the latest record of each key.
    #[serde(rename = "compact")]
    Compact,
    /// Keep the latest record of each key until it exceeds the retention, too.
    #[serde(rename = "compact,delete")]
    CompactDelete,
}

/// A setting's value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Setting {
    Text(String),
    Whole(i64),
    Fraction(f64),
    Switch(bool),
}

impl Topics {
    /// The names that have a section of their own.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| *name != DEFAULTS)
    }

    /// How this topic is set up: its own section over the defaults.
    pub(crate) fn of(&self, name: &str) -> Topic {
        let defaults = self.0.get(DEFAULTS).cloned().unwrap_or_default();
        match self.0.get(name).filter(|_| name != DEFAULTS) {
            Some(own) => own.clone().over(defaults),
            None => defaults,
        }
    }

    /// Sections whose `settings` name what has a key of its own in the same section.
    pub(super) fn doubled(&self) -> impl Iterator<Item = (&str, &'static str, &'static str)> {
        self.0.iter().flat_map(|(name, topic)| {
            KEYS.iter()
                .filter(|(setting, _)| topic.settings.contains_key(*setting))
                .map(move |(setting, key)| (name.as_str(), *setting, *key))
        })
    }
}

/// Kafka's settings that have a key of their own.
const KEYS: [(&str, &str); 5] = [
    ("retention.ms", "retention"),
    ("retention.bytes", "retention_bytes"),
    ("cleanup.policy", "cleanup_policy"),
    ("min.insync.replicas", "min_insync_replicas"),
    ("max.message.bytes", "max_message_bytes"),
];

impl Topic {
    fn over(self, defaults: Self) -> Self {
        let mut settings = defaults.settings;
        settings.extend(self.settings);
        Self {
            partitions: self.partitions.or(defaults.partitions),
            replication_factor: self.replication_factor.or(defaults.replication_factor),
            retention: self.retention.or(defaults.retention),
            retention_bytes: self.retention_bytes.or(defaults.retention_bytes),
            cleanup_policy: self.cleanup_policy.or(defaults.cleanup_policy),
            min_insync_replicas: self.min_insync_replicas.or(defaults.min_insync_replicas),
            max_message_bytes: self.max_message_bytes.or(defaults.max_message_bytes),
            settings,
        }
    }

    /// The settings by Kafka's own names.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        let own = [
            self.retention.map(|retention| retention.to_string()),
            self.retention_bytes.map(|bytes| bytes.to_string()),
            self.cleanup_policy.map(|policy| policy.text().to_owned()),
            self.min_insync_replicas.map(|replicas| replicas.to_string()),
            self.max_message_bytes.map(|bytes| bytes.to_string()),
        ];
        let own = KEYS
            .iter()
            .zip(own)
            .filter_map(|((setting, _), value)| Some(((*setting).to_owned(), value?)));
        let further = self
            .settings
            .iter()
            .map(|(name, value)| (name.clone(), value.text()));
        own.chain(further).collect()
    }
}

impl CleanupPolicy {
    fn text(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
            Self::CompactDelete => "compact,delete",
        }
    }
}

impl Setting {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Switch(on) => on.to_string(),
        }
    }
}
