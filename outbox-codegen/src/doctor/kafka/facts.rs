//! What was found, before it is judged.

use std::collections::BTreeMap;

use crate::doctor::Seen;
use crate::doctor::postgres::Payload;
use crate::topics::Difference;

/// Everything that the checks of Kafka judge.
#[derive(Debug, Clone)]
pub(crate) struct KafkaFacts {
    pub(crate) brokers: usize,
    /// Settings of a broker, by Kafka's names.
    pub(crate) broker_settings: Seen<BTreeMap<String, String>>,
    /// The topics that were asked for and exist.
    pub(crate) topics: Vec<Topic>,
    /// Topics of the events that do not exist, or may not be described.
    pub(crate) missing: Vec<String>,
    /// What differs from `outbox.toml`.
    pub(crate) differences: Vec<Difference>,
    /// Templates whose topics are not listed.
    pub(crate) open_templates: Vec<String>,
    /// The cursor topic, if the log is delivered exactly once.
    pub(crate) cursor_topic: Option<String>,
    /// The largest of the newest messages, by the topics' names in the cluster.
    pub(crate) payloads: Vec<Payload>,
}

/// A topic as the cluster describes it.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: Vec<Partition>,
    /// What holds for it, by Kafka's names.
    pub(crate) settings: Seen<BTreeMap<String, String>>,
}

/// A partition of a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partition {
    pub(crate) replicas: usize,
    pub(crate) in_sync: usize,
    pub(crate) has_leader: bool,
}

impl Topic {
    /// The fewest replicas of a partition.
    pub(crate) fn replicas(&self) -> usize {
        self.partitions
            .iter()
            .map(|partition| partition.replicas)
            .min()
            .unwrap_or_default()
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.known()?.get(name).map(String::as_str)
    }
}
