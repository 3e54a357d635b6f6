//! What a relay records of each topic: cheap, because it is done for each record.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::family::{Family, Names};
use super::handles::{Counter, Histogram, counter, histogram};
use super::relay::RelayMetrics;
use super::series::OTHER;
use super::{ENABLED, series};
use crate::record::OutboxRecord;

/// A topic in short, as this module counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MetricTopic(u32);

/// A record that was handed over.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecordSample {
    pub(crate) topic: MetricTopic,
    /// When it came into being, in milliseconds since the Unix epoch, if that is known.
    pub(crate) born_ms: Option<i64>,
    /// Payload, key and headers.
    pub(crate) bytes: usize,
}

/// The metrics of a relay's topics. What is recorded is seen after the next [`flush`](Self::flush).
pub(crate) struct TopicMetrics {
    relay: RelayMetrics,
    names: Names,
    numbers: HashMap<String, MetricTopic>,
    topics: Vec<Topic>,
    /// The topic that was asked for last: the next record is often of the same.
    last: MetricTopic,
    /// Topics with something to flush.
    touched: Vec<MetricTopic>,
    now_ms: Option<i64>,
    families: Option<Families>,
}

struct Families {
    dead_lettered: Family<2>,
    parked: Family<2>,
    redelivered: Family<1>,
}

struct Topic {
    name: String,
    records: Counter,
    bytes: Counter,
    seconds: Histogram,
    pending: Pending,
}

/// What was delivered since the last flush. Records that are acknowledged together are mostly of one age.
#[derive(Default)]
struct Pending {
    records: u64,
    bytes: u64,
    age_ms: i64,
    of_this_age: usize,
}

impl TopicMetrics {
    pub(crate) fn new(relay: &RelayMetrics) -> Self {
        Self {
            relay: relay.clone(),
            names: Names::default(),
            numbers: HashMap::new(),
            topics: Vec::new(),
            last: MetricTopic(0),
            touched: Vec::new(),
            now_ms: None,
            families: None,
        }
    }

    /// The topic in short.
    pub(crate) fn number(&mut self, name: &str) -> MetricTopic {
        if !ENABLED {
            return MetricTopic(0);
        }
        let is_last = |topic: &Topic| topic.name == name;
        if self.topics.get(self.last.0 as usize).is_some_and(is_last) {
            return self.last;
        }
        let name = self.names.fold(name);
        self.last = match self.numbers.get(name) {
            Some(number) => *number,
            None => self.register(name),
        };
        self.last
    }

    fn register(&mut self, name: &str) -> MetricTopic {
        let labels = [(series::LOG, self.relay.log()), (series::TOPIC, name)];
        let topic = Topic {
            records: counter(&series::DELIVERED_RECORDS, &labels),
            bytes: counter(&series::DELIVERED_BYTES, &labels),
            seconds: histogram(&series::DELIVERY_SECONDS, &labels),
            name: name.to_owned(),
            pending: Pending::default(),
        };
        let number = MetricTopic(self.topics.len() as u32);
        self.topics.push(topic);
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// What there is to say of a record once it is acknowledged.
    pub(crate) fn sample(&mut self, record: &OutboxRecord<'_>, bytes: usize) -> RecordSample {
        RecordSample {
            topic: self.number(record.topic),
            born_ms: Some(born_ms(&record.id, record.occurred_at_ms)),
            bytes,
        }
    }

    /// A record was acknowledged.
    pub(crate) fn delivered(&mut self, sample: RecordSample) {
        if !ENABLED {
            return;
        }
        let RecordSample {
            topic,
            born_ms,
            bytes,
        } = sample;
        let now = *self.now_ms.get_or_insert_with(now_ms);
        let Some(known) = self.topics.get_mut(topic.0 as usize) else {
            return;
        };
        if known.pending.records == 0 {
            self.touched.push(topic);
        }
        known.pending.records += 1;
        known.pending.bytes += bytes as u64;
        let Some(born_ms) = born_ms else { return };
        let age_ms = (now - born_ms).max(0);
        if age_ms != known.pending.age_ms {
            known.record_ages();
            known.pending.age_ms = age_ms;
        }
        known.pending.of_this_age += 1;
    }

    /// A record that came out of the dead letters was acknowledged.
    pub(crate) fn redelivered(&mut self, topic: MetricTopic) {
        let name = self.topics.get(topic.0 as usize).map(|topic| topic.name.clone());
        let name = name.as_deref().unwrap_or(OTHER);
        if ENABLED {
            self.families().redelivered.add([name], 1);
        }
    }

    pub(crate) fn dead_lettered(&mut self, topic: &str, reason: &str) {
        if ENABLED {
            self.families().dead_lettered.add([topic, reason], 1);
        }
    }

    pub(crate) fn parked(&mut self, topic: &str, reason: &str, records: u64) {
        if ENABLED {
            self.families().parked.add([topic, reason], records);
        }
    }

    /// Adds up what was delivered.
    pub(crate) fn flush(&mut self) {
        self.now_ms = None;
        for number in self.touched.drain(..) {
            if let Some(topic) = self.topics.get_mut(number.0 as usize) {
                topic.record_ages();
                let Pending { records, bytes, .. } = std::mem::take(&mut topic.pending);
                topic.records.increment(records);
                topic.bytes.increment(bytes);
            }
        }
    }

    fn families(&mut self) -> &Families {
        let log = self.relay.log();
        self.families.get_or_insert_with(|| Families {
            dead_lettered: Family::new(&series::DEAD_LETTERED_RECORDS, &[log]),
            parked: Family::new(&series::PARKED_RECORDS, &[log]),
            redelivered: Family::new(&series::REDELIVERED_RECORDS, &[log]),
        })
    }
}

impl Topic {
    fn record_ages(&mut self) {
        if self.pending.of_this_age > 0 {
            let seconds = self.pending.age_ms as f64 / 1_000.0;
            self.seconds.record_many(seconds, self.pending.of_this_age);
            self.pending.of_this_age = 0;
        }
    }
}

/// When a record came into being, in milliseconds since the Unix epoch: the later of what the row says and what a
/// UUIDv7 says, which the library makes when the event is emitted. An event may have happened long before.
pub(crate) fn born_ms(id: &Uuid, occurred_at_ms: i64) -> i64 {
    let emitted = match ENABLED && id.get_version_num() == 7 {
        true => i64::try_from(id.as_u128() >> 80).unwrap_or(0),
        false => 0,
    };
    emitted.max(occurred_at_ms)
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
