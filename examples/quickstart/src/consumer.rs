//! A consumer that reads all the time, from where the topic ended when it started.

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

/// How long the broker may take over an answer.
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
    /// As the checker wants it.
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

/// Reads in a thread of its own.
pub(crate) struct Consumer {
    seen: Arc<AtomicU64>,
    finish: Arc<AtomicBool>,
    records: oneshot::Receiver<Result<Vec<Record>>>,
}

impl Consumer {
    /// Starts to read. When this returns, its place in every partition is fixed.
    pub(crate) async fn start(addresses: &str) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", addresses)
            .set("group.id", "quickstart")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.max.ms", "1000")
            // A question waits behind a fetch that waits for records.
            .set("fetch.wait.max.ms", "50")
            .create()
            .context("the Kafka consumer cannot be made")?;
        let (ready, started) = oneshot::channel();
        let (done, records) = oneshot::channel();
        let (seen, finish) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (Arc::clone(&seen), Arc::clone(&finish));
        thread::spawn(move || match assign(&consumer) {
            Ok(positions) => {
                // Whoever no longer listens does not want to know.
                let _ = ready.send(Ok(()));
                let _ = done.send(read(&consumer, positions, &counter, &stop));
            }
            Err(error) => drop(ready.send(Err(error))),
        });
        started.await.context("the consumer's thread ended")??;
        Ok(Self {
            seen,
            finish,
            records,
        })
    }

    /// How many records have arrived so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Reads to where the partitions end now, and returns everything: each partition in the order of its log.
    pub(crate) async fn finish(self) -> Result<Vec<Record>> {
        self.finish.store(true, Ordering::Relaxed);
        self.records.await.context("the consumer's thread ended")?
    }
}

/// The next offset of each partition.
type Positions = HashMap<i32, i64>;

/// Goes to the end of all partitions: what is there already is from somebody else.
fn assign(consumer: &BaseConsumer) -> Result<Positions> {
    let ends = ends(consumer)?;
    let mut list = TopicPartitionList::new();
    for (partition, end) in &ends {
        list.add_partition_offset(TOPIC, *partition, Offset::Offset(*end))?;
    }
    consumer
        .assign(&list)
        .context("the partitions cannot be assigned")?;
    Ok(ends)
}

fn ends(consumer: &BaseConsumer) -> Result<Positions> {
    let metadata = consumer
        .fetch_metadata(Some(TOPIC), PATIENCE)
        .context("the broker tells nothing of the topic")?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let ends = partitions.map(|partition| {
        let (_, end) = consumer.fetch_watermarks(TOPIC, partition.id(), PATIENCE)?;
        Ok((partition.id(), end))
    });
    ends.collect::<Result<_>>()
        .context("the broker does not tell where the partitions end")
}

fn read(
    consumer: &BaseConsumer,
    mut positions: Positions,
    seen: &AtomicU64,
    finish: &AtomicBool,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut last: Option<(Positions, Instant)> = None;
    loop {
        // An error is a broker that is away; librdkafka goes on by itself when it is back.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            positions.insert(message.partition(), message.offset() + 1);
            records.push(Record::from(&message));
            seen.fetch_add(1, Ordering::Relaxed);
        }
        if last.is_none() && finish.load(Ordering::Relaxed) {
            last = Some((ends(consumer)?, Instant::now()));
        }
        let Some((ends, since)) = &last else { continue };
        if ends
            .iter()
            .all(|(partition, end)| positions.get(partition).is_some_and(|next| next >= end))
        {
            return Ok(records);
        }
        if since.elapsed() > PATIENCE {
            bail!("the consumer could not read to the end of the topic within {PATIENCE:?}");
        }
    }
}
