//! The topic of cursors: one record for each log, written in the transaction of the records that it speaks of.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::complaints::Complaints;
use crate::publisher::{BrokerCursor, PublishError, PublishErrorKind};

/// The only partition.
pub(super) const PARTITION: i32 = 0;

/// How long the broker may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a topic that is not there is asked for again: a broker that has only just come back may not know it yet.
const MISSING_FOR: Duration = Duration::from_secs(10);

/// How long transactions of other logs, which are in the way, may stay open.
const OTHERS: Duration = Duration::from_secs(90);

/// How far from the end it is looked for first. A log that is busy has its cursor among the last records.
const FIRST_LOOK: i64 = 1_000;

/// What the topic is created with: each log's last record is kept for ever, and old ones go soon.
const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "33554432"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// Makes sure that the topic is there. `false` if it is not, and not to be created.
pub(super) async fn ensure(client: &ClientConfig, topic: &str, create: bool) -> Result<bool, PublishError> {
    let started = Instant::now();
    let mut created = false;
    loop {
        if is_there(client, topic).await? {
            return Ok(true);
        }
        if create && !created {
            self::create(client, topic).await?;
            created = true;
        }
        if started.elapsed() > MISSING_FOR {
            return match create {
                true => Err(unavailable(format!("topic `{topic}` has no leader yet"))),
                false => Ok(false),
            };
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn is_there(client: &ClientConfig, topic: &str) -> Result<bool, PublishError> {
    let (client, name) = (client.clone(), topic.to_owned());
    // A consumer's question does not make the broker create the topic.
    let asked = move || consumer(&client, "read_committed")?.fetch_metadata(Some(&name), PATIENCE);
    let metadata = blocking(asked)
        .await?
        .map_err(|error| unavailable(format!("topic `{topic}` cannot be asked for")).with_source(error))?;
    let found = metadata.topics().first();
    match found.and_then(|found| found.error()).map(Code::from) {
        None | Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
            let partition = found.and_then(|found| found.partitions().first());
            Ok(partition.is_some_and(|partition| partition.leader() >= 0))
        }
        Some(code) => Err(unavailable(format!("topic `{topic}` cannot be used: {code}"))),
    }
}

async fn create(client: &ClientConfig, topic: &str) -> Result<(), PublishError> {
    let failed = |why: String| {
        unavailable(format!(
            "topic `{topic}`, which keeps the cursor of exactly-once delivery, could not be created: {why}. Allow \
             that, or create it with one partition and cleanup.policy=compact"
        ))
    };
    let admin: AdminClient<DefaultClientContext> =
        client.create().map_err(|error| failed(error.to_string()))?;
    // As many replicas as the broker gives by default.
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
    let new = SETTINGS
        .iter()
        .fold(new, |new, (name, value)| new.set(name, value));
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = admin.create_topics([&new], &options).await;
    let answers = answers.map_err(|error| failed(error.to_string()))?;
    match answers.into_iter().find_map(Result::err) {
        None | Some((_, Code::TopicAlreadyExists)) => Ok(()),
        Some((_, code)) => Err(failed(code.to_string())),
    }
}

/// The cursor that was committed last under this key. To be called when nobody can commit another.
pub(super) async fn read(
    client: &ClientConfig,
    topic: &str,
    key: String,
) -> Result<Option<BrokerCursor>, PublishError> {
    let (client, topic) = (client.clone(), topic.to_owned());
    blocking(move || Search::new(&client, &topic)?.last(key.as_bytes())).await?
}

struct Search<'a> {
    consumer: BaseConsumer<Complaints>,
    topic: &'a str,
    low: i64,
    end: i64,
}

impl<'a> Search<'a> {
    /// Waits until everything that is in the topic now is decided: a consumer sees nothing behind a transaction that
    /// is still open, be it another log's.
    fn new(client: &ClientConfig, topic: &'a str) -> Result<Self, PublishError> {
        let failed = |error| unavailable("the cursor cannot be read").with_source(error);
        let ends = |isolation: &str| {
            let consumer = consumer(client, isolation)?;
            Ok((consumer.fetch_watermarks(topic, PARTITION, PATIENCE)?, consumer))
        };
        let ((_, end), _) = ends("read_uncommitted").map_err(failed)?;
        let ((mut low, mut decided), consumer) = ends("read_committed").map_err(failed)?;
        let started = Instant::now();
        while decided < end {
            if started.elapsed() > OTHERS {
                return Err(unavailable(format!(
                    "a transaction of another client is open in topic `{topic}`"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
            (low, decided) = consumer
                .fetch_watermarks(topic, PARTITION, PATIENCE)
                .map_err(failed)?;
        }
        Ok(Self {
            consumer,
            topic,
            low,
            end,
        })
    }

    fn last(&self, key: &[u8]) -> Result<Option<BrokerCursor>, PublishError> {
        let (mut until, mut span) = (self.end, FIRST_LOOK);
        while until > self.low {
            let from = (until - span).max(self.low);
            if let Some(value) = self.last_between(from, until, key)? {
                return serde_json::from_slice(&value).map(Some).map_err(|error| {
                    unavailable("the cursor at the broker cannot be understood").with_source(error)
                });
            }
            (until, span) = (from, span.saturating_mul(10));
        }
        Ok(None)
    }

    fn last_between(&self, from: i64, until: i64, key: &[u8]) -> Result<Option<Vec<u8>>, PublishError> {
        let failed = |error| unavailable("the cursor cannot be read").with_source(error);
        let mut place = TopicPartitionList::new();
        place
            .add_partition_offset(self.topic, PARTITION, Offset::Offset(from))
            .and_then(|()| self.consumer.assign(&place))
            .map_err(failed)?;
        let mut last = None;
        let mut heard = Instant::now();
        while heard.elapsed() < PATIENCE {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if message.offset() >= until => return Ok(last),
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if message.key() == Some(key) {
                        last = message.payload().map(<[u8]>::to_vec);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(last),
                // librdkafka tries again by itself.
                Some(Err(_)) | None => {}
            }
        }
        Err(unavailable(
            "the cursor cannot be read: the broker does not answer",
        ))
    }
}

fn consumer(client: &ClientConfig, isolation: &str) -> Result<BaseConsumer<Complaints>, KafkaError> {
    let mut config = client.clone();
    config
        .set("group.id", "outbox-relay")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // The broker would wait half a second for more before it tells that the end is reached.
        .set("fetch.wait.max.ms", "10")
        .set("isolation.level", isolation);
    config.create_with_context(Complaints::default())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PublishError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| unavailable("asking for the cursor").with_source(error))
}

fn unavailable(message: impl Into<String>) -> PublishError {
    PublishError::new(PublishErrorKind::Unavailable, message)
}
