//! The cursor at the broker: one record for each log, written in the transaction of the records that it speaks of.
//! `cursor_topic` sees to the topic that it is in.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::closing::EndsInBackground;
use super::complaints::Complaints;
use crate::librdkafka::{Clients, Connected, Right};
use crate::publisher::{BrokerCursor, PublishError, PublishErrorKind};

/// The only partition.
pub(super) const PARTITION: i32 = 0;

/// How long the broker may take to answer a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long transactions of other logs, which are in the way, may stay open.
const OTHERS: Duration = Duration::from_secs(90);

/// How far from the end it is looked for first. A log that is busy has its cursor among the last records.
const FIRST_LOOK: i64 = 1_000;

/// The cursor that was committed last under this key. To be called when nobody can commit another.
pub(super) async fn read(
    client: &Clients,
    topic: &str,
    key: String,
) -> Result<Option<BrokerCursor>, PublishError> {
    let (client, topic) = (client.clone(), topic.to_owned());
    blocking(move || Search::new(&client, &topic)?.last(key.as_bytes())).await?
}

pub(super) type Client = EndsInBackground<Connected<BaseConsumer<Complaints>>>;

struct Search<'a> {
    consumer: Client,
    topic: &'a str,
    low: i64,
    end: i64,
}

impl<'a> Search<'a> {
    /// Waits until everything that is in the topic now is decided: a consumer sees nothing behind a transaction that
    /// is still open, be it another log's.
    fn new(client: &Clients, topic: &'a str) -> Result<Self, PublishError> {
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
        let mut lacking = String::new();
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
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                    lacking = Right::ReadTopic(self.topic).lacking(code);
                }
                None => {}
            }
        }
        Err(unavailable(match lacking.is_empty() {
            true => "the cursor cannot be read: the broker does not answer".to_owned(),
            false => format!("the cursor cannot be read{lacking}"),
        }))
    }
}

pub(super) fn consumer(client: &Clients, isolation: &str) -> Result<Client, KafkaError> {
    let mut config = client.clone();
    config
        .set("group.id", "outbox-relay")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // The broker would wait half a second for more before it reports that the end is reached.
        .set("fetch.wait.max.ms", "10")
        .set("isolation.level", isolation);
    config.create(Complaints::default()).map(EndsInBackground::new)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PublishError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| unavailable("asking for the cursor").with_source(error))
}

pub(super) fn unavailable(message: impl Into<String>) -> PublishError {
    PublishError::new(PublishErrorKind::Unavailable, message)
}
