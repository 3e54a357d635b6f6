//! Finds a message's record by reading its topic.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::{InspectedMessage, Inspection, MessageState, RecordLookup};
use crate::TokenProvider;
use crate::librdkafka::{Clients, Connected};
use crate::publisher::partition_of;
use crate::store::TimelineEntry;

/// Records that are read for one message by default.
const RECORDS: u64 = 100_000;

/// How long the brokers may take to answer by default.
const PATIENCE: Duration = Duration::from_secs(10);

/// Searches a Kafka cluster for records.
///
/// A record's timestamp is the message's `occurred_at`, or later if the topic has `LogAppendTime`; so the topic is read
/// from that time on, the key's partition first, until the first record with the message's id.
pub struct RecordSearch {
    clients: Clients,
    prefix: String,
    records: u64,
    patience: Duration,
}

/// Kafka could not be searched.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct RecordSearchError {
    what: String,
    #[source]
    source: Option<KafkaError>,
    unreachable: bool,
}

impl RecordSearchError {
    /// Whether no broker answered.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable
    }
}

impl std::fmt::Debug for RecordSearch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RecordSearch")
            .field("prefix", &self.prefix)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl RecordSearch {
    /// Creates a search at these brokers (`host:port`, separated by commas). Does not connect.
    pub fn new(brokers: &str) -> Self {
        Self::with_tokens(brokers, None)
    }

    /// Like [`new`](Self::new), but authenticates with tokens.
    pub fn with_tokens(brokers: &str, tokens: Option<TokenProvider>) -> Self {
        let mut clients = Clients::new(brokers, tokens);
        clients.set("client.id", "outbox-inspect");
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

    /// Maximum number of records to read for one message. Default: 100,000.
    #[must_use]
    pub fn max_records(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    /// Maximum time for the brokers to answer. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Checks the properties, without connecting.
    ///
    /// # Errors
    /// One sentence: which property is wrong and why. It shows no value, which may be a password.
    pub fn check(&self) -> Result<(), String> {
        self.consumers().check()
    }

    fn consumers(&self) -> Clients {
        let mut clients = self.clients.clone();
        clients
            .set("group.id", "outbox-inspect")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed");
        clients
    }

    /// Finds the first record with this id in `topic`, named without the prefix. `key` determines which
    /// partition is read first; `since` is the message's `occurred_at`, or any time before it.
    ///
    /// # Errors
    /// Kafka cannot be reached, a right is missing, or a property is invalid. A missing topic has no records.
    pub async fn find(
        &self,
        topic: &str,
        id: Uuid,
        key: Option<&str>,
        since: DateTime<Utc>,
    ) -> Result<RecordLookup, RecordSearchError> {
        let clients = self.consumers();
        clients.check().map_err(|what| RecordSearchError {
            what,
            source: None,
            unreachable: false,
        })?;
        let (records, patience) = (self.records, self.patience);
        let topic = format!("{}{topic}", self.prefix);
        let key = key.map(str::to_owned);
        // The client is made here: one with tokens needs the runtime.
        let consumer = clients
            .create(DefaultConsumerContext)
            .map_err(failed("cannot create the Kafka client"))?;
        let search = Search {
            consumer,
            topic,
            id: id.hyphenated().to_string(),
            patience,
        };
        let find = move || search.find(key.as_deref(), since.timestamp_millis(), records);
        let ended = tokio::task::spawn_blocking(find).await;
        ended.unwrap_or_else(|_| {
            Err(RecordSearchError {
                what: "the search was interrupted".to_owned(),
                source: None,
                unreachable: false,
            })
        })
    }
}

fn failed(what: &'static str) -> impl Fn(KafkaError) -> RecordSearchError {
    move |source| RecordSearchError {
        what: what.to_owned(),
        source: Some(source),
        unreachable: true,
    }
}

struct Search {
    consumer: Connected<BaseConsumer>,
    topic: String,
    id: String,
    patience: Duration,
}

impl Search {
    fn find(
        &self,
        key: Option<&str>,
        since_ms: i64,
        records: u64,
    ) -> Result<RecordLookup, RecordSearchError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), self.patience)
            .map_err(failed("cannot reach the Kafka cluster"))?;
        let there = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let mut partitions: Vec<i32> = there
            .filter(|topic| topic.error().is_none())
            .map(|topic| {
                topic
                    .partitions()
                    .iter()
                    .map(|partition| partition.id())
                    .collect()
            })
            .unwrap_or_default();
        let count = u32::try_from(partitions.len()).unwrap_or_default();
        let own = key.and_then(|key| i32::try_from(partition_of(key.as_bytes(), count)).ok());
        // Others too: the topic may have had fewer partitions.
        partitions.sort_by_key(|partition| (Some(*partition) != own, *partition));
        let mut read = 0;
        for partition in partitions {
            let Some(from) = self.first_since(partition, since_ms)? else {
                continue;
            };
            match self.read(partition, from, records - read)? {
                (_, Some(found)) => return Ok(found),
                (more, None) => read += more,
            }
            if read >= records {
                return Ok(RecordLookup::NotFound {
                    read,
                    complete: false,
                });
            }
        }
        Ok(RecordLookup::NotFound { read, complete: true })
    }

    /// The first offset whose record is not older.
    fn first_since(&self, partition: i32, since_ms: i64) -> Result<Option<i64>, RecordSearchError> {
        let ask = || {
            let mut times = TopicPartitionList::new();
            times.add_partition_offset(&self.topic, partition, Offset::Offset(since_ms))?;
            self.consumer.offsets_for_times(times, self.patience)
        };
        let offsets = ask().map_err(failed("cannot ask for offsets"))?;
        let first = offsets.find_partition(&self.topic, partition);
        Ok(first.and_then(|partition| match partition.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }))
    }

    /// Reads up to the end that the partition has now: how many records, and the one that is looked for.
    fn read(
        &self,
        partition: i32,
        from: i64,
        at_most: u64,
    ) -> Result<(u64, Option<RecordLookup>), RecordSearchError> {
        let assign = || {
            let mut place = TopicPartitionList::new();
            place.add_partition_offset(&self.topic, partition, Offset::Offset(from))?;
            self.consumer.assign(&place)?;
            self.consumer
                .fetch_watermarks(&self.topic, partition, self.patience)
        };
        let (_, end) = assign().map_err(failed("cannot read the topic"))?;
        let (mut read, mut heard) = (0, Instant::now());
        while read < at_most {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    read += 1;
                    if self.is_it(&message) {
                        return Ok((read, Some(found(&message))));
                    }
                    if message.offset() + 1 >= end {
                        return Ok((read, None));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok((read, None)),
                // librdkafka tries again by itself.
                Some(Err(error)) if heard.elapsed() > self.patience => {
                    return Err(failed("cannot read the topic")(error));
                }
                Some(Err(_)) => {}
                None if heard.elapsed() > self.patience => {
                    return Err(RecordSearchError {
                        what: format!("no record of topic `{}` within {:?}", self.topic, self.patience),
                        source: None,
                        unreachable: true,
                    });
                }
                None => {}
            }
        }
        Ok((read, None))
    }

    fn is_it(&self, message: &impl Message) -> bool {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        headers
            .into_iter()
            .any(|header| header.key == "ce_id" && header.value == Some(self.id.as_bytes()))
    }
}

fn found(message: &impl Message) -> RecordLookup {
    RecordLookup::Found {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().and_then(time),
    }
}

fn time(ms: i64) -> Option<String> {
    let time = DateTime::from_timestamp_millis(ms)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// When an id of version 7 was made.
fn made_at(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

impl Inspection {
    /// Searches Kafka for the records of the messages, and sets [`InspectedMessage::record`]. A waiting message that
    /// has a record becomes acknowledged.
    ///
    /// # Errors
    /// See [`RecordSearch::find`].
    pub async fn look_for_records(&mut self, search: &RecordSearch) -> Result<(), RecordSearchError> {
        for message in &mut self.messages {
            let Some(since) = message.occurred() else { continue };
            let lookup = search
                .find(&message.topic, message.id, Some(&message.key), since)
                .await?;
            if let (RecordLookup::Found { .. }, MessageState::Waiting { .. }) = (&lookup, &message.state) {
                message.state = MessageState::Acknowledged;
            }
            message.record = Some(lookup);
        }
        Ok(())
    }

    /// Searches Kafka for a message that the database does not know because it was delivered and pruned. The search
    /// begins at the time in the id (UUIDv7, as this library creates them); for other ids, it returns `Ok(None)`. A
    /// message that is found is added to [`messages`](Self::messages).
    ///
    /// # Errors
    /// See [`RecordSearch::find`].
    pub async fn look_for_pruned(
        &mut self,
        search: &RecordSearch,
        id: Uuid,
        topic: &str,
    ) -> Result<Option<RecordLookup>, RecordSearchError> {
        let Some(since) = made_at(id) else { return Ok(None) };
        // Whoever set `occurred_at` apart from the id may have set it a little earlier.
        let since = since - chrono::Duration::minutes(1);
        let lookup = search.find(topic, id, None, since).await?;
        if let RecordLookup::Found { timestamp, .. } = &lookup {
            let timeline = timestamp.iter().map(|at| TimelineEntry {
                at: at.clone(),
                what: "record's timestamp",
            });
            self.messages.push(InspectedMessage {
                id,
                seq: None,
                topic: topic.to_owned(),
                key: String::new(),
                event_type: String::new(),
                correlation_id: None,
                state: MessageState::Pruned,
                in_log: false,
                timeline: timeline.collect(),
                record: Some(lookup.clone()),
            });
        }
        Ok(Some(lookup))
    }
}

impl InspectedMessage {
    fn occurred(&self) -> Option<DateTime<Utc>> {
        let at = self.timeline.iter().find(|event| event.what == "occurred")?;
        DateTime::parse_from_rfc3339(&at.at).ok().map(|at| at.to_utc())
    }
}
