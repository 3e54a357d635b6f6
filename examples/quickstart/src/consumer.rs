//! A consumer that reads the topic from its beginning, in a thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use outbox_runtime::testkit::checker::DeliveredRecord;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::shop::TOPIC;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Record {
    /// The record for the checker.
    pub(crate) fn delivered(&self) -> DeliveredRecord<'_> {
        DeliveredRecord {
            topic: TOPIC,
            partition: self.partition,
            offset: self.offset,
            id: self.event_id(),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
            timestamp_ms: self.timestamp_ms,
        }
    }

    fn event_id(&self) -> Option<Uuid> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "ce_id")?;
        Uuid::try_parse_ascii(value.as_deref()?).ok()
    }
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

/// A running consumer.
pub(crate) struct Consumer {
    seen: Arc<AtomicU64>,
    finish: Arc<AtomicBool>,
    records: oneshot::Receiver<Result<Vec<Record>>>,
}

impl Consumer {
    /// Starts to read the first `partitions` partitions.
    pub(crate) fn start(brokers: &str, partitions: i32) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "quickstart")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.max.ms", "1000")
            .create()
            .context("cannot create the Kafka consumer")?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
        }
        consumer.assign(&list).context("cannot assign the partitions")?;
        let (done, records) = oneshot::channel();
        let (seen, finish) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, finishing) = (Arc::clone(&seen), Arc::clone(&finish));
        thread::spawn(move || drop(done.send(read(&consumer, partitions, &counter, &finishing))));
        Ok(Self {
            seen,
            finish,
            records,
        })
    }

    /// Records that have arrived so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Reads to the end of the topic and returns everything: each partition in the order of its log.
    pub(crate) async fn finish(self) -> Result<Vec<Record>> {
        self.finish.store(true, Ordering::Relaxed);
        self.records.await.context("the consumer's thread ended")?
    }
}

fn read(
    consumer: &BaseConsumer,
    partitions: i32,
    seen: &AtomicU64,
    finish: &AtomicBool,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut next: HashMap<i32, i64> = HashMap::new();
    let mut finishing_since = None;
    loop {
        // An error means that the broker is unavailable; librdkafka reconnects by itself.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            next.insert(message.partition(), message.offset() + 1);
            records.push(Record::from(&message));
            seen.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if !finish.load(Ordering::Relaxed) {
            continue;
        }
        if at_end(consumer, partitions, &next)? {
            return Ok(records);
        }
        let since = *finishing_since.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE {
            bail!("the consumer did not reach the end of the topic");
        }
    }
}

/// Whether every partition has been read to its end.
fn at_end(consumer: &BaseConsumer, partitions: i32, next: &HashMap<i32, i64>) -> Result<bool> {
    for partition in 0..partitions {
        let (_, end) = consumer
            .fetch_watermarks(TOPIC, partition, PATIENCE)
            .context("cannot fetch the end of a partition")?;
        if next.get(&partition).copied().unwrap_or(0) < end {
            return Ok(false);
        }
    }
    Ok(true)
}
