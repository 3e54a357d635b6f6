//! What is known of topics: how large their records may be, and how old.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::complaints;
use crate::librdkafka::{Clients, Connected, Right};
use crate::publisher::{PublishError, PublishErrorKind};
use crate::record::OutboxRecord;

/// librdkafka's own default. Kafka's default limit for a record is a little above it.
pub(super) const LARGEST_BATCH: usize = 1_000_000;

/// Settings of topics are changed while relays run.
const RECHECK_KNOWN: Duration = Duration::from_secs(60);

/// A topic that is not there may be created at any moment, with limits of its own.
const RECHECK_UNKNOWN: Duration = Duration::from_secs(2);

/// A record is refused by settings that are no older: an older answer may be out of date.
const JUST_ASKED: Duration = Duration::from_millis(100);

/// How long a broker may take to tell a topic's settings.
const PATIENCE: Duration = Duration::from_secs(5);

/// How records of a topic are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The producer that its records go through.
    pub(super) batch_size: usize,
    /// The topic's limit, if the broker told it.
    pub(super) max_message_bytes: Option<usize>,
    /// How far a record's timestamp may lie before and after the broker's clock, in milliseconds.
    timestamps: Option<(i64, i64)>,
    /// When the broker was asked last.
    asked: Instant,
    good_until: Instant,
}

/// A client that asks.
pub(super) type Admin = Connected<AdminClient<DefaultClientContext>>;

pub(super) struct Topics {
    client: Clients,
    /// Do not ask: the broker does not tell.
    assumed: bool,
    admin: Option<Arc<Admin>>,
    known: HashMap<String, Route>,
}

impl Topics {
    pub(super) fn new(client: Clients, assumed: bool) -> Self {
        Self {
            client,
            assumed,
            admin: None,
            known: HashMap::new(),
        }
    }

    /// The same questions to the same broker, with nothing known yet.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.client.clone(), self.assumed)
    }

    /// The route of a topic whose settings were looked up lately.
    pub(super) fn fresh(&self, topic: &str) -> Option<&Route> {
        self.known
            .get(topic)
            .filter(|route| Instant::now() < route.good_until)
    }

    pub(super) fn known(&self, topic: &str) -> Option<&Route> {
        self.known.get(topic)
    }

    pub(super) fn remember(&mut self, topic: &str, route: Route) {
        self.known.insert(topic.to_owned(), route);
    }

    /// Knows nothing any more. The client that asked is the caller's to drop, which may take its time.
    pub(super) fn forget(&mut self) -> Option<Arc<Admin>> {
        self.known.clear();
        self.admin.take()
    }

    /// Whether the broker answers questions, and all partitions that records are sent to have leaders: records of
    /// one that has none wait for that, and a new client would change nothing.
    pub(super) async fn broker_answers(&mut self) -> bool {
        let Some(topic) = self.known.keys().next().cloned() else {
            return false;
        };
        if self.assumed || self.describe(&topic).await.is_err() {
            return false;
        }
        let Some(admin) = self.admin.clone() else {
            return false;
        };
        let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, PATIENCE));
        let Ok(Ok(metadata)) = asked.await else {
            return false;
        };
        let known = metadata
            .topics()
            .iter()
            .filter(|topic| self.known.contains_key(topic.name()));
        let mut partitions = known.flat_map(|topic| topic.partitions());
        partitions.all(|partition| partition.leader() >= 0)
    }

    /// Asks for a topic as a producer does: a broker that creates topics by itself does so then. Any other one
    /// says that the topic is not there, and would say so of each record half a minute after it was sent.
    async fn come_into_being(&mut self, topic: &str) -> Result<Route, PublishError> {
        let missing = |code: Code| {
            let right = Right::DescribeTopic(topic).lacking(code);
            let text = format!("topic `{topic}` is not there: {code}{right}");
            PublishError::new(PublishErrorKind::Topic, text)
        };
        let Some(admin) = self.admin.clone() else {
            return Err(missing(Code::UnknownTopic));
        };
        let name = topic.to_owned();
        let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(Some(&name), PATIENCE));
        let answer = asked.await.map_err(|error| {
            PublishError::new(PublishErrorKind::Unavailable, "asking for a topic").with_source(error)
        })?;
        let metadata = answer.map_err(|error| {
            let text = format!("the broker does not tell whether topic `{topic}` is there");
            PublishError::new(PublishErrorKind::Unavailable, text).with_source(error)
        })?;
        let found = metadata.topics().first();
        match found.and_then(|topic| topic.error()) {
            Some(error) => Err(missing(error.into())),
            // A topic that is not known yet may also be one without partitions.
            None if found.is_none_or(|topic| topic.partitions().is_empty()) => {
                Err(missing(Code::UnknownTopic))
            }
            None => Ok(Route::unknown(RECHECK_UNKNOWN)),
        }
    }

    async fn describe(&mut self, topic: &str) -> Result<ConfigResource, Code> {
        let code = |error: KafkaError| match error {
            KafkaError::AdminOp(code) => code,
            error => error.rdkafka_error_code().unwrap_or(Code::Unknown),
        };
        let admin = match &self.admin {
            Some(admin) => admin,
            None => self
                .admin
                .insert(Arc::new(self.client.create(DefaultClientContext).map_err(code)?)),
        };
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let mut answers = admin
            .describe_configs([&ResourceSpecifier::Topic(topic)], &options)
            .await
            .map_err(code)?;
        answers.pop().unwrap_or(Err(Code::Unknown))
    }

    /// Asks the broker for the topic's settings.
    pub(super) async fn look_up(&mut self, topic: &str) -> Result<Route, PublishError> {
        if self.assumed {
            return Ok(Route::unknown(RECHECK_KNOWN));
        }
        let answer = self.describe(topic).await;
        match answer {
            // Of a topic that is not there, the answer tells no settings.
            Ok(settings) if settings.get("max.message.bytes").is_none() => self.come_into_being(topic).await,
            Ok(settings) => Ok(Route::new(&settings)),
            Err(Code::UnknownTopicOrPartition | Code::UnknownTopic) => self.come_into_being(topic).await,
            Err(code @ (Code::UnsupportedFeature | Code::UnsupportedVersion)) => {
                tracing::debug!(topic, %code, "the broker does not tell settings of topics; Kafka's defaults are assumed");
                Ok(Route::unknown(RECHECK_KNOWN))
            }
            Err(code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
                tracing::warn!(
                    topic, %code,
                    "the settings of the topic may not be read; Kafka's default limits are assumed. \
                     The login lacks a right: allow DescribeConfigs on the topic"
                );
                Ok(Route::unknown(RECHECK_KNOWN))
            }
            Err(code) => match self.known.get(topic) {
                Some(stale) => Ok(Route {
                    asked: Instant::now(),
                    good_until: Instant::now() + RECHECK_UNKNOWN,
                    ..stale.clone()
                }),
                None => {
                    let why = complaints::ask_again(&self.client).await;
                    Err(PublishError::new(
                        PublishErrorKind::Unavailable,
                        format!("the settings of topic `{topic}` could not be read: {code}{why}"),
                    ))
                }
            },
        }
    }
}

impl Route {
    fn unknown(good_for: Duration) -> Self {
        Self {
            batch_size: LARGEST_BATCH,
            max_message_bytes: None,
            timestamps: None,
            asked: Instant::now(),
            good_until: Instant::now() + good_for,
        }
    }

    fn new(settings: &ConfigResource) -> Self {
        let text = |name: &str| settings.get(name).and_then(|entry| entry.value.as_deref());
        let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
        let max_message_bytes = number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok());
        let by_producer = text("message.timestamp.type") == Some("CreateTime");
        let before = number("message.timestamp.before.max.ms").unwrap_or(i64::MAX);
        let after = number("message.timestamp.after.max.ms").unwrap_or(i64::MAX);
        Self {
            batch_size: batch_size(max_message_bytes),
            max_message_bytes,
            timestamps: by_producer.then_some((before, after)),
            asked: Instant::now(),
            good_until: Instant::now() + RECHECK_KNOWN,
        }
    }

    /// Whether what these settings refuse is refused for certain. Otherwise the broker has to be asked again first:
    /// somebody may have raised a limit so that a dead letter can be replayed.
    pub(super) fn was_just_asked(&self) -> bool {
        self.asked.elapsed() < JUST_ASKED
    }

    /// One record with a timestamp that the broker refuses would take its whole batch along.
    pub(super) fn check_timestamp(&self, record: &OutboxRecord<'_>, now_ms: i64) -> Result<(), PublishError> {
        let Some((before, after)) = self.timestamps else {
            return Ok(());
        };
        let age = now_ms.saturating_sub(record.occurred_at_ms);
        let refused_by = if age > before {
            "message.timestamp.before.max.ms"
        } else if age.saturating_neg() > after {
            "message.timestamp.after.max.ms"
        } else {
            return Ok(());
        };
        Err(PublishError::new(
            PublishErrorKind::Record("timestamp"),
            format!(
                "occurred_at is {age} ms ago and topic `{}` does not take that ({refused_by})",
                record.topic
            ),
        ))
    }
}

/// A batch no larger than the limit, from few sizes, because each size is a producer.
fn batch_size(limit: Option<usize>) -> usize {
    match limit {
        Some(limit) if limit < LARGEST_BATCH => 1 << limit.max(1).ilog2(),
        _ => LARGEST_BATCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stay_below_the_topics_limit() {
        assert_eq!(batch_size(None), LARGEST_BATCH);
        assert_eq!(batch_size(Some(1_048_588)), LARGEST_BATCH);
        for limit in [1, 100, 20_000, 65_536, 999_999] {
            let size = batch_size(Some(limit));
            assert!(size <= limit && size * 2 > limit, "{limit} gave {size}");
        }
    }

    #[test]
    fn timestamps_that_a_topic_refuses_are_found() {
        let route = Route {
            timestamps: Some((i64::MAX, 3_600_000)),
            ..Route::unknown(PATIENCE)
        };
        let record = |occurred_at_ms| OutboxRecord {
            seq: 1,
            id: uuid::Uuid::nil(),
            topic: "t",
            key: "k",
            event_type: "E",
            content_type: "application/json",
            source: None,
            headers: "{}",
            payload: None,
            occurred_at_ms,
        };
        let now = 1_700_000_000_000;
        assert!(route.check_timestamp(&record(0), now).is_ok());
        assert!(route.check_timestamp(&record(now + 3_600_000), now).is_ok());
        let error = route.check_timestamp(&record(now + 3_600_001), now).unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Record("timestamp"));
        assert!(error.to_string().contains("after.max"), "{error}");
    }
}
