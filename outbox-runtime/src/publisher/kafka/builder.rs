//! Puts a publisher together, and finds wrong properties before anything is sent.

use super::names::TopicNames;
use super::producers::DEFAULT_PRODUCERS;
use super::topics::Topics;
use super::transactional::Cursors;
use super::{KafkaPublisher, properties};
use crate::librdkafka::TokenProvider;
use crate::publisher::{PublishError, PublishErrorKind};

/// Where cursors are kept in exactly-once delivery.
const DEFAULT_CURSOR_TOPIC: &str = "outbox-cursors";

/// How many producers can share the partitions.
const PRODUCERS: std::ops::RangeInclusive<u32> = 1..=64;

/// What transactional ids begin with.
const DEFAULT_ID_PREFIX: &str = "outbox-";

/// So much room is left for the log's id. Kafka has no limit, and keeps the length in two bytes.
const LONGEST_PREFIX: usize = 200;

/// Builds a [`KafkaPublisher`].
#[derive(Clone)]
pub struct KafkaPublisherBuilder {
    brokers: String,
    properties: Vec<(String, String)>,
    tokens: Option<TokenProvider>,
    assume_topic_limits: bool,
    cursor_topic: String,
    producers: u32,
    transactional_id_prefix: String,
    topic_prefix: String,
}

impl std::fmt::Debug for KafkaPublisherBuilder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values may hold a password.
        let keys: Vec<_> = self.properties.iter().map(|(key, _)| key).collect();
        formatter
            .debug_struct("KafkaPublisherBuilder")
            .field("brokers", &self.brokers)
            .field("properties", &keys)
            .finish()
    }
}

impl KafkaPublisherBuilder {
    pub(super) fn new(brokers: String) -> Self {
        Self {
            brokers,
            properties: Vec::new(),
            tokens: None,
            assume_topic_limits: false,
            cursor_topic: DEFAULT_CURSOR_TOPIC.to_owned(),
            producers: DEFAULT_PRODUCERS,
            transactional_id_prefix: DEFAULT_ID_PREFIX.to_owned(),
            topic_prefix: String::new(),
        }
    }

    /// Sets a property of librdkafka, such as `compression.type`. [`build`](Self::build) refuses properties
    /// that would break a guarantee.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// Authenticates all clients with SASL/OAUTHBEARER and tokens of this provider: the producers, and the
    /// clients that read topic metadata and cursors. Sets `security.protocol` to `sasl_ssl`, unless a
    /// property sets it.
    #[must_use]
    pub fn token_provider(mut self, tokens: TokenProvider) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Assumes Kafka's default size limits instead of asking the broker for the topics' limits, for brokers
    /// that cannot describe topics, such as librdkafka's mock cluster. On a real cluster, a record that
    /// exceeds its topic's limit could then fail other records in its batch.
    #[must_use]
    pub fn assume_topic_limits(mut self) -> Self {
        self.assume_topic_limits = true;
        self
    }

    /// Topic of the cursor in exactly-once delivery. Default: `outbox-cursors`, shared by any number of logs. A
    /// relay creates the topic if it is missing: compacted, with one partition, and with three replicas, or one
    /// for each broker if there are fewer.
    #[must_use]
    pub fn cursor_topic(mut self, name: impl Into<String>) -> Self {
        self.cursor_topic = name.into();
        self
    }

    /// Maximum number of producers that share the partitions, from 1 to 64. Default: 8.
    ///
    /// A producer has one request in flight to each broker, with records of one partition, so that a round
    /// trip of `d` limits it to `1 / d` requests per second. More producers increase the throughput if the
    /// network latency is high and there are many partitions. So the publisher measures the round trip and starts,
    /// for each topic, as many producers as keep a partition from waiting more than 4 ms for the others of its broker,
    /// and at most one for each of these. Each has a thread and a connection to each broker. Exactly-once delivery
    /// always uses two producers.
    #[must_use]
    pub fn producers(mut self, at_most: u32) -> Self {
        self.producers = at_most;
        self
    }

    /// Prefix of the topics' names in the cluster, such as `dev.`. Default: none.
    ///
    /// For several environments in one cluster: events, tables and configuration contain the topic without the prefix,
    /// and records are sent to the topic with it. [`cursor_topic`](Self::cursor_topic) is taken as it is.
    #[must_use]
    pub fn topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.topic_prefix = prefix.into();
        self
    }

    /// Prefix of the transactional ids in exactly-once delivery, before the log's own id. Default: `outbox-`. All relays
    /// of a log need the same one: with another, Kafka would not fence the relay that was active before.
    #[must_use]
    pub fn transactional_id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.transactional_id_prefix = prefix.into();
        self
    }

    /// Checks the properties. Does not connect, so an outage is not an error.
    ///
    /// # Errors
    /// [`PublishErrorKind::Configuration`]: no brokers, an unknown property or value, or a refused one, with
    /// the guarantee that rests on it.
    pub fn build(self) -> Result<KafkaPublisher, PublishError> {
        if self.brokers.trim().is_empty() {
            return Err(PublishError::new(
                PublishErrorKind::Configuration,
                "no broker is named: give at least one as `host:port`",
            ));
        }
        if !PRODUCERS.contains(&self.producers) {
            let text = format!(
                "a relay has {} to {} producers, and not {}",
                PRODUCERS.start(),
                PRODUCERS.end(),
                self.producers
            );
            return Err(PublishError::new(PublishErrorKind::Configuration, text));
        }
        super::record::check_topic(&self.cursor_topic)
            .map_err(|error| PublishError::new(PublishErrorKind::Configuration, error.to_string()))?;
        let names = TopicNames::new(self.topic_prefix)
            .map_err(|error| PublishError::new(PublishErrorKind::Configuration, error))?;
        if self.transactional_id_prefix.is_empty() || self.transactional_id_prefix.len() > LONGEST_PREFIX {
            return Err(PublishError::new(
                PublishErrorKind::Configuration,
                format!("the prefix of transactional ids has to have 1 to {LONGEST_PREFIX} bytes"),
            ));
        }
        let mut client = properties::defaults(&self.brokers, self.tokens);
        for (key, value) in &self.properties {
            properties::check(key)?;
            client.set(key, value);
        }
        let compressed = |(key, value): &(String, String)| {
            matches!(key.as_str(), "compression.type" | "compression.codec") && value != "none"
        };
        let compresses = self.properties.iter().any(compressed);
        let mut checked = client.clone();
        properties::guard(&mut checked, super::route::LARGEST_BATCH);
        checked
            .check()
            .map_err(|says| PublishError::new(PublishErrorKind::Configuration, says))?;
        Ok(KafkaPublisher::new(
            client.clone(),
            names,
            Topics::new(client, self.assume_topic_limits),
            self.producers,
            compresses,
            Cursors {
                topic: self.cursor_topic,
                transactional_id_prefix: self.transactional_id_prefix,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: KafkaPublisherBuilder) -> String {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Configuration);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    }

    #[test]
    fn wrong_properties_are_found_without_a_broker() {
        assert!(error(KafkaPublisher::builder(" ")).contains("host:port"));
        let unknown = error(KafkaPublisher::builder("localhost:1").property("lingr.ms", "5"));
        assert!(unknown.contains("lingr.ms"), "{unknown}");
        let value = error(KafkaPublisher::builder("localhost:1").property("linger.ms", "soon"));
        assert!(value.contains("linger.ms"), "{value}");
        assert!(error(KafkaPublisher::builder("localhost:1").property("acks", "1")).contains("in-sync"));
    }

    #[test]
    fn a_broker_that_is_away_is_no_error() {
        assert!(
            KafkaPublisher::builder("localhost:1")
                .property("compression.type", "lz4")
                .build()
                .is_ok()
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        let mistyped = error(KafkaPublisher::builder("localhost:1").property("sasl.pasword", "hunter2"));
        assert!(
            mistyped.contains("sasl.pasword") && !mistyped.contains("hunter2"),
            "{mistyped}"
        );
        let builder = KafkaPublisher::builder("localhost:1").property("sasl.password", "hunter2");
        assert!(!format!("{builder:?}").contains("hunter2"));
    }
}
