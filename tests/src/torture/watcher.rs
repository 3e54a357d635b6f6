//! Reads all topics all the time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use crate::kafka::{ReadRecord, Topic};

/// How often a reader looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

/// How long a broker may take to say where a partition begins.
const PATIENCE: Duration = Duration::from_secs(5);

/// What arrived in a round.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// Every record, each partition's in the order of its log.
    pub(super) records: Vec<ReadRecord>,
    seen: HashMap<Uuid, Seen>,
    /// What the round before had seen: some of it may come again in this one.
    seen_before: HashMap<Uuid, Seen>,
    duplicates: Vec<Duplicate>,
    /// Records that were there and are gone, though nobody deleted their topic.
    vanished: Vec<String>,
}

/// Where an event was seen first and when, and how often since.
#[derive(Debug)]
struct Seen {
    place: String,
    first: Instant,
    times: usize,
}

/// An event that was seen before.
#[derive(Debug, Clone)]
pub(super) struct Duplicate {
    pub(super) id: Uuid,
    /// When it was seen first.
    pub(super) first_seen: Instant,
    /// Where it was seen, in words.
    pub(super) text: String,
}

/// Consumers of all topics, each in a thread of its own.
pub(super) struct Watcher {
    brokers: String,
    arrived: Arc<Mutex<Arrived>>,
    readers: Vec<Option<Reader>>,
}

struct Reader {
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Reads these topics from their beginnings on.
    pub(super) fn start(brokers: &str, topics: &[Topic]) -> Self {
        let mut watcher = Self {
            brokers: brokers.to_owned(),
            arrived: Arc::default(),
            readers: Vec::new(),
        };
        for topic in topics {
            let reader = watcher.read(topic);
            watcher.readers.push(Some(reader));
        }
        watcher
    }

    /// Stops reading a topic, because it is going to be deleted.
    pub(super) fn close(&mut self, topic: usize) {
        if let Some(reader) = self.readers[topic].take() {
            reader.end();
        }
    }

    /// Reads a topic from its beginning, because it is a new one.
    pub(super) fn open(&mut self, number: usize, topic: &Topic) {
        self.readers[number] = Some(self.read(topic));
    }

    /// How many different events have arrived in this round.
    pub(super) fn seen(&self) -> usize {
        self.arrived().seen.len()
    }

    /// How many records have arrived in this round.
    pub(super) fn records(&self) -> usize {
        self.arrived().records.len()
    }

    /// Leaves those that have not arrived in this round.
    pub(super) fn retain_missing(&self, events: &mut Vec<Uuid>) {
        let arrived = self.arrived();
        events.retain(|id| !arrived.seen.contains_key(id));
    }

    /// How often each of these has arrived in this round.
    pub(super) fn arrivals<'a>(&self, events: impl Iterator<Item = &'a Uuid>) -> HashMap<Uuid, usize> {
        let arrived = self.arrived();
        let times = |id: &Uuid| arrived.seen.get(id).map_or(0, |seen| seen.times);
        events.map(|id| (*id, times(id))).collect()
    }

    /// Leaves those that have not arrived once more than so often in this round.
    pub(super) fn retain_awaited(&self, events: &mut HashMap<Uuid, (String, usize)>) {
        let arrived = self.arrived();
        events.retain(|id, (_, so_often)| arrived.seen.get(id).is_none_or(|seen| seen.times <= *so_often));
    }

    /// The duplicates since the last question.
    pub(super) fn new_duplicates(&self) -> Vec<Duplicate> {
        std::mem::take(&mut self.arrived().duplicates)
    }

    /// Where records vanished since the last question.
    pub(super) fn new_vanished(&self) -> Vec<String> {
        std::mem::take(&mut self.arrived().vanished)
    }

    /// Ends a round: hands its records out, and keeps no more than the ids.
    pub(super) fn take_round(&self) -> Vec<ReadRecord> {
        let mut arrived = self.arrived();
        arrived.seen_before = std::mem::take(&mut arrived.seen);
        std::mem::take(&mut arrived.records)
    }

    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().expect("no reader panics while it holds it")
    }

    fn read(&self, topic: &Topic) -> Reader {
        let end = Arc::new(AtomicBool::new(false));
        let (arrived, ended) = (Arc::clone(&self.arrived), Arc::clone(&end));
        let (brokers, topic) = (self.brokers.clone(), topic.clone());
        let thread = std::thread::spawn(move || read(&brokers, &topic, &arrived, &ended));
        Reader { end, thread }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.readers.drain(..).flatten().for_each(Reader::end);
    }
}

impl Reader {
    fn end(self) {
        self.end.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            eprintln!("a reader of the watcher panicked");
        }
    }
}

fn read(brokers: &str, topic: &Topic, arrived: &Mutex<Arrived>, end: &AtomicBool) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "watcher")
        .set("enable.auto.commit", "false");
    // Where to go on is known here: a broker that cannot say where a partition begins is asked again.
    config
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("reconnect.backoff.max.ms", "500");
    config.set("socket.timeout.ms", "10000").set("log_level", "0");
    let consumer: BaseConsumer = config.create().expect("a consumer can be made");
    let mut next: BTreeMap<i32, i64> = (0..topic.partitions()).map(|partition| (partition, 0)).collect();
    assign(&consumer, topic, &next);
    while !end.load(Ordering::Relaxed) {
        match consumer.poll(LOOK) {
            Some(Ok(message)) => {
                let record = ReadRecord::from(&message);
                next.insert(record.partition, record.offset + 1);
                let mut arrived = arrived.lock().expect("no reader panics while it holds it");
                arrived.take(record);
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                for (partition, offset) in &mut next {
                    let ends = consumer.fetch_watermarks(topic.name(), *partition, PATIENCE);
                    if let Ok((low, _)) = ends
                        && *offset < low
                    {
                        *offset = low;
                        let mut arrived = arrived.lock().expect("no reader panics while it holds it");
                        arrived.vanished.push(format!("{}/{partition}", topic.name()));
                    }
                }
                assign(&consumer, topic, &next);
            }
            // librdkafka retries by itself, for as long as it takes.
            Some(Err(_)) | None => {}
        }
    }
}

fn assign(consumer: &BaseConsumer, topic: &Topic, next: &BTreeMap<i32, i64>) {
    let mut assignment = TopicPartitionList::new();
    for (partition, offset) in next {
        assignment
            .add_partition_offset(topic.name(), *partition, Offset::Offset(*offset))
            .expect("it is a valid offset");
    }
    consumer.assign(&assignment).expect("partitions can be assigned");
}

impl Arrived {
    fn take(&mut self, record: ReadRecord) {
        if let Some(id) = record.event_id() {
            let place = format!("{}/{}@{}", record.topic, record.partition, record.offset);
            if let Some(first) = self.seen.get(&id).or(self.seen_before.get(&id)) {
                self.duplicates.push(Duplicate {
                    id,
                    first_seen: first.first,
                    text: format!("{id} at {} and {place}", first.place),
                });
            }
            let seen = self.seen.entry(id).or_insert_with(|| Seen {
                place,
                first: Instant::now(),
                times: 0,
            });
            seen.times += 1;
        }
        self.records.push(record);
    }
}
