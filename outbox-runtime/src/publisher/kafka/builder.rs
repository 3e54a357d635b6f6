//! Puts a publisher together, and finds wrong properties before anything is sent.

use super::topics::Topics;
use super::transactional::Cursors;
use super::{KafkaPublisher, properties};
use crate::librdkafka::TokenProvider;
use crate::publisher::{PublishError, PublishErrorKind};

/// Where cursors are kept in exactly-once delivery.
const DEFAULT_CURSOR_TOPIC: &str = "outbox-cursors";

/// What transactional ids begin with.
const DEFAULT_ID_PREFIX: &str = "outbox-";

/// So much room is left for the log's id. Kafka has no limit, and keeps the length in two bytes.
const LONGEST_PREFIX: usize = 200;

/// Collects what a [`KafkaPublisher`] needs.
#[derive(Clone)]
pub struct KafkaPublisherBuilder {
    brokers: String,
    properties: Vec<(String, String)>,
    tokens: Option<TokenProvider>,
    assume_topic_limits: bool,
    cursor_topic: String,
    transactional_id_prefix: String,
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
            transactional_id_prefix: DEFAULT_ID_PREFIX.to_owned(),
        }
    }

    /// Sets a property of librdkafka, such as `compression.type`. Properties that a guarantee rests on are
    /// refused by [`build`](Self::build).
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// Logs all clients in by SASL/OAUTHBEARER with tokens from there: the producers, and those that ask the brokers for
    /// topics and cursors. Sets `security.protocol` to `sasl_ssl`, unless a property says otherwise.
    #[must_use]
    pub fn token_provider(mut self, tokens: TokenProvider) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Does not ask the broker for the topics' limits but assumes Kafka's defaults: for a broker that has no
    /// admin interface, such as librdkafka's mock cluster. On a real cluster, a record that is larger than its
    /// topic allows could then take its neighbours along.
    #[must_use]
    pub fn assume_topic_limits(mut self) -> Self {
        self.assume_topic_limits = true;
        self
    }

    /// The topic that keeps the cursor in exactly-once delivery, beside the records. Default: `outbox-cursors`, for
    /// any number of logs. A relay creates it if it is missing: with one partition, compacted, with
    /// three replicas where there are three brokers, else with one on each.
    #[must_use]
    pub fn cursor_topic(mut self, name: impl Into<String>) -> Self {
        self.cursor_topic = name.into();
        self
    }

    /// What the transactional id begins with in exactly-once delivery, before the log's own id, for a cluster that grants
    /// ids by prefix. Default: `outbox-`. All relays of a log need the same one: under another, Kafka would not stop the
    /// relay that went before.
    #[must_use]
    pub fn transactional_id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.transactional_id_prefix = prefix.into();
        self
    }

    /// Checks the properties. Does not connect, so a broker that is away is no error.
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
        super::record::check_topic(&self.cursor_topic)
            .map_err(|error| PublishError::new(PublishErrorKind::Configuration, error.to_string()))?;
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
        properties::guard(&mut checked, super::topics::LARGEST_BATCH);
        checked
            .check()
            .map_err(|says| PublishError::new(PublishErrorKind::Configuration, says))?;
        Ok(KafkaPublisher::new(
            client.clone(),
            Topics::new(client, self.assume_topic_limits),
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
