//! Everything that is in a topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use outbox_runtime::testkit::checker::DeliveredRecord;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

/// How long the broker may be silent while there is more to read.
const SILENCE: Duration = Duration::from_secs(60);

/// A record as it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRecord {
    /// The topic it is in.
    pub topic: String,
    /// The partition it is in.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, as the producer set them.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// All headers, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl ReadRecord {
    /// The first header of this name, if its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The event's id, as the header `ce_id` gives it.
    pub fn event_id(&self) -> Option<Uuid> {
        self.header("ce_id")?.parse().ok()
    }

    /// As the checker wants it.
    pub fn delivered(&self) -> DeliveredRecord<'_> {
        DeliveredRecord {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            id: self.event_id(),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
            timestamp_ms: self.timestamp_ms,
        }
    }

    /// The key, if it is text.
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }
}

impl From<&BorrowedMessage<'_>> for ReadRecord {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// All that is in `topic` now, aborted transactions too: each partition in the order of its log, one partition
/// behind the other.
pub async fn read_all(brokers: &str, topic: &str) -> Vec<ReadRecord> {
    read_with("read_uncommitted", brokers, topic).await
}

/// What a `read_committed` consumer sees in `topic` now, ordered as in [`read_all`].
pub async fn read_committed(brokers: &str, topic: &str) -> Vec<ReadRecord> {
    read_with("read_committed", brokers, topic).await
}

async fn read_with(isolation: &'static str, brokers: &str, topic: &str) -> Vec<ReadRecord> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    let read = move || read(isolation, &brokers, &topic);
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn read(isolation: &str, brokers: &str, topic: &str) -> Vec<ReadRecord> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("isolation.level", isolation)
        .set("group.id", "readers");
    // Says when a partition's end is reached: behind aborted records and markers there is no record.
    config
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer can be made");
    let mut open = ends(&consumer, topic);
    let mut assignment = TopicPartitionList::new();
    for partition in open.keys() {
        assignment
            .add_partition_offset(topic, *partition, Offset::Beginning)
            .expect("0 is a valid offset");
    }
    consumer.assign(&assignment).expect("partitions can be assigned");

    let mut records: BTreeMap<i32, Vec<ReadRecord>> = BTreeMap::new();
    let mut heard = Instant::now();
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let record = ReadRecord::from(&message);
                let Some(end) = open.get(&record.partition).copied() else {
                    continue;
                };
                if record.offset + 1 >= end {
                    open.remove(&record.partition);
                }
                if record.offset < end {
                    records.entry(record.partition).or_default().push(record);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            // librdkafka retries by itself; what never heals ends below.
            Some(Err(_)) | None => {
                assert!(
                    heard.elapsed() < SILENCE,
                    "nothing heard of {topic} for {SILENCE:?}, left: {open:?}"
                );
            }
        }
    }
    records.into_values().flatten().collect()
}

/// Where each partition that is not empty ends now. A broker that has only just come back is asked again.
fn ends(consumer: &BaseConsumer, topic: &str) -> BTreeMap<i32, i64> {
    let started = Instant::now();
    loop {
        match ask_for_ends(consumer, topic) {
            Ok(ends) => return ends,
            Err(error) => assert!(
                started.elapsed() < SILENCE,
                "the ends of {topic} cannot be asked for: {error}"
            ),
        }
    }
}

fn ask_for_ends(consumer: &BaseConsumer, topic: &str) -> Result<BTreeMap<i32, i64>, KafkaError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut ends = BTreeMap::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        if end > 0 {
            ends.insert(partition.id(), end);
        }
    }
    Ok(ends)
}
