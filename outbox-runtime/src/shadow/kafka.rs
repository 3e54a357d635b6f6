//! Reads a topic and its shadow.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, Timestamp, TopicPartitionList};

use super::{Position, ShadowReport, ShadowedRecord, compare};
use crate::TokenProvider;
use crate::librdkafka::{Clients, Connected};

/// Records that are read of each topic by default.
const RECORDS: usize = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// Partners of a record lie so close to it.
const AROUND: chrono::Duration = chrono::Duration::minutes(10);

/// Compares topics in a Kafka cluster.
pub struct ShadowComparison {
    clients: Clients,
    prefix: String,
    records: usize,
    patience: Duration,
}

impl std::fmt::Debug for ShadowComparison {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's properties may hold a password.
        formatter
            .debug_struct("ShadowComparison")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A topic could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ShadowComparisonError {
    what: String,
    #[source]
    source: Option<KafkaError>,
}

fn failed(what: impl Into<String>) -> impl FnOnce(KafkaError) -> ShadowComparisonError {
    let what = what.into();
    move |source| ShadowComparisonError {
        what,
        source: Some(source),
    }
}

fn without_cause(what: impl Into<String>) -> ShadowComparisonError {
    ShadowComparisonError {
        what: what.into(),
        source: None,
    }
}

impl ShadowComparison {
    /// Creates a comparison at these brokers (`host:port`, separated by commas), and authenticates with
    /// `tokens` if given. Does not connect.
    pub fn new(brokers: &str, tokens: Option<TokenProvider>) -> Self {
        let mut clients = Clients::new(brokers, tokens);
        clients.set("client.id", "outbox-shadow");
        clients.silence();
        Self {
            clients,
            prefix: String::new(),
            records: RECORDS,
            patience: PATIENCE,
        }
    }

    /// Sets a property of librdkafka.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.clients.set(key, value);
        self
    }

    /// Prefix of the topics' names in the cluster. Default: none.
    #[must_use]
    pub fn topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Maximum number of records to read from each topic. Default: 1,000,000.
    #[must_use]
    pub fn max_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }

    /// Maximum time for the brokers to answer. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Reads both topics to their ends and compares the records at or after `from` and before `to`.
    ///
    /// # Errors
    /// A property is invalid, a topic is not there, or the brokers do not answer.
    pub async fn compare(
        &self,
        topic: &str,
        shadow: &str,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<ShadowReport, ShadowComparisonError> {
        let (first, last) = (from.map(|from| from - AROUND), to.map(|to| to + AROUND));
        let own = self.read(topic, first, last).await?;
        let shadowed = self.read(shadow, first, last).await?;
        let mut report = compare(&own.records, &shadowed.records, from, to);
        report.complete = own.complete && shadowed.complete;
        Ok(report)
    }

    async fn read(
        &self,
        topic: &str,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Read, ShadowComparisonError> {
        let mut clients = self.clients.clone();
        clients
            .set("group.id", "outbox-shadow")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed");
        clients.check().map_err(without_cause)?;
        // The client is made here: one with tokens needs the runtime.
        let consumer = clients
            .create(DefaultConsumerContext)
            .map_err(failed("cannot create the Kafka client"))?;
        let reading = Reading {
            consumer,
            topic: format!("{}{topic}", self.prefix),
            patience: self.patience,
            left: self.records,
        };
        let reading = tokio::task::spawn_blocking(move || reading.all(from, to)).await;
        reading.unwrap_or_else(|_| Err(without_cause("the reading was interrupted")))
    }
}

struct Read {
    records: Vec<ShadowedRecord>,
    complete: bool,
}

struct Reading {
    consumer: Connected<BaseConsumer>,
    topic: String,
    patience: Duration,
    left: usize,
}

impl Reading {
    fn all(
        mut self,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Read, ShadowComparisonError> {
        let mut read = Read {
            records: Vec::new(),
            complete: true,
        };
        for partition in self.partitions()? {
            let Some(first) = self.first(partition, from)? else {
                continue;
            };
            read.complete &= self.partition(partition, first, to, &mut read.records)?;
        }
        Ok(read)
    }

    fn partitions(&self) -> Result<Vec<i32>, ShadowComparisonError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), self.patience)
            .map_err(failed("cannot reach the Kafka cluster"))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        match topic.filter(|topic| topic.error().is_none()) {
            Some(topic) => Ok(topic
                .partitions()
                .iter()
                .map(|partition| partition.id())
                .collect()),
            None => Err(without_cause(format!(
                "there is no topic `{}`, or it may not be read",
                self.topic
            ))),
        }
    }

    /// Where to begin; none where nothing is that young.
    fn first(
        &self,
        partition: i32,
        from: Option<DateTime<Utc>>,
    ) -> Result<Option<Offset>, ShadowComparisonError> {
        let Some(from) = from else {
            return Ok(Some(Offset::Beginning));
        };
        let ask = || {
            let mut times = TopicPartitionList::new();
            times.add_partition_offset(&self.topic, partition, Offset::Offset(from.timestamp_millis()))?;
            self.consumer.offsets_for_times(times, self.patience)
        };
        let offsets = ask().map_err(failed("cannot ask for offsets"))?;
        let found = offsets
            .find_partition(&self.topic, partition)
            .map(|found| found.offset());
        Ok(found.filter(|offset| matches!(offset, Offset::Offset(_))))
    }

    /// Whether all of it was read.
    fn partition(
        &mut self,
        partition: i32,
        first: Offset,
        to: Option<DateTime<Utc>>,
        into: &mut Vec<ShadowedRecord>,
    ) -> Result<bool, ShadowComparisonError> {
        let assign = || {
            let mut place = TopicPartitionList::new();
            place.add_partition_offset(&self.topic, partition, first)?;
            self.consumer.assign(&place)?;
            self.consumer
                .fetch_watermarks(&self.topic, partition, self.patience)
        };
        let (low, end) = assign().map_err(failed("cannot read the topic"))?;
        if low >= end {
            return Ok(true);
        }
        let mut heard = Instant::now();
        loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let at = message.timestamp().to_millis();
                    if to.is_none_or(|to| at.is_none_or(|at| at < to.timestamp_millis())) {
                        if self.left == 0 {
                            return Ok(false);
                        }
                        self.left -= 1;
                        into.push(record(&message));
                    }
                    if message.offset() + 1 >= end {
                        return Ok(true);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(true),
                // librdkafka tries again by itself.
                Some(Err(error)) if heard.elapsed() > self.patience => {
                    return Err(failed("cannot read the topic")(error));
                }
                None if heard.elapsed() > self.patience => {
                    let silent = format!("no record of topic `{}` within {:?}", self.topic, self.patience);
                    return Err(without_cause(silent));
                }
                Some(Err(_)) | None => {}
            }
        }
    }
}

fn record(message: &BorrowedMessage<'_>) -> ShadowedRecord {
    let position = Position::new(message.partition(), message.offset());
    let record = ShadowedRecord::new(
        position,
        message.key(),
        message.payload(),
        message.timestamp().to_millis(),
    );
    let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let id = headers
        .find(|header| header.key == "ce_id")
        .and_then(|header| header.value);
    let record = match id.and_then(|id| std::str::from_utf8(id).ok()) {
        Some(id) => record.id(id),
        None => record,
    };
    match message.timestamp() {
        Timestamp::LogAppendTime(_) => record.at_arrival(),
        Timestamp::CreateTime(_) | Timestamp::NotAvailable => record,
    }
}
