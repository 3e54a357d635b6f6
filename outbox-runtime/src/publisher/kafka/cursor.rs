//! The cursor at the broker: one record for each log, written in the transaction of the records that it speaks of.
//! `cursor_topic` sees to the topic that it is in.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::metadata::Metadata;
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

type Client = EndsInBackground<Connected<BaseConsumer<Complaints>>>;

/// Reads cursors out of their topic.
pub(super) struct CursorReader {
    topic: String,
    /// Sees how far the topic goes, open transactions included.
    undecided: Client,
    /// Sees what is committed.
    committed: Client,
}

impl CursorReader {
    /// Connects to nothing yet. Reads certificates, where there are any.
    pub(super) fn new(client: &Clients, topic: &str) -> Result<Self, KafkaError> {
        Ok(Self {
            topic: topic.to_owned(),
            undecided: consumer(client, "read_uncommitted")?,
            committed: consumer(client, "read_committed")?,
        })
    }

    /// What a broker says of the topic. It is not created by that. Blocks.
    ///
    /// Both clients ask, and so are connected. librdkafka asks for a partition's leader in steps of 100, 200 and more
    /// milliseconds as long as no broker is known.
    pub(super) fn describe(&self) -> Result<Metadata, KafkaError> {
        self.undecided.fetch_metadata(Some(&self.topic), PATIENCE)?;
        self.committed.fetch_metadata(Some(&self.topic), PATIENCE)
    }

    /// The cursor that was committed last under this key. To be called when nobody can commit another.
    ///
    /// Both clients ask for the topic once more: the leader that they know is the one from before nobody could.
    pub(super) async fn last(self, key: String) -> Result<Option<BrokerCursor>, PublishError> {
        blocking(move || {
            self.describe().map_err(unreadable)?;
            Search::new(&self)?.last(key.as_bytes())
        })
        .await?
    }
}

fn unreadable(error: KafkaError) -> PublishError {
    unavailable("the cursor cannot be read").with_source(error)
}

/// A search through all that is in the topic now.
struct Search<'a> {
    consumer: &'a Client,
    topic: &'a str,
    low: i64,
    end: i64,
}

impl<'a> Search<'a> {
    /// Waits until everything that is in the topic now is decided: a consumer sees nothing behind a transaction that
    /// is still open, be it another log's.
    fn new(reader: &'a CursorReader) -> Result<Self, PublishError> {
        let topic = &reader.topic;
        let ends = |client: &Client| {
            let answer = client.fetch_watermarks(topic, PARTITION, PATIENCE);
            answer.map_err(unreadable)
        };
        let (_, end) = ends(&reader.undecided)?;
        let (mut low, mut decided) = ends(&reader.committed)?;
        let started = Instant::now();
        while decided < end {
            if started.elapsed() > OTHERS {
                return Err(unavailable(format!(
                    "a transaction of another client is open in topic `{topic}`"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
            (low, decided) = ends(&reader.committed)?;
        }
        Ok(Self {
            consumer: &reader.committed,
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
        let mut place = TopicPartitionList::new();
        place
            .add_partition_offset(self.topic, PARTITION, Offset::Offset(from))
            .and_then(|()| self.consumer.assign(&place))
            .map_err(unreadable)?;
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

fn consumer(client: &Clients, isolation: &str) -> Result<Client, KafkaError> {
    let mut config = client.clone();
    config
        .set("group.id", "outbox-relay")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // The broker would wait half a second for more before it reports that the end is reached.
        .set("fetch.wait.max.ms", "10")
        // The topic has settings of its own.
        .set("allow.auto.create.topics", "false")
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
