//! Where a test's relay delivers to.

use std::collections::HashSet;

use uuid::Uuid;

#[cfg(feature = "kafka")]
use super::kafka::Kafka;
use crate::inbox::InboxMessage;
#[cfg(feature = "kafka")]
use crate::testkit::servers;
use crate::testkit::{MemoryBroker, MemoryRecord};

/// A broker for tests. Clones share it.
#[derive(Debug, Clone)]
pub enum TestBroker {
    /// A log in memory: it answers at once, and fails in any way that a test asks it to.
    Memory(MemoryBroker),
    /// A broker that speaks Kafka's protocol.
    #[cfg(feature = "kafka")]
    Kafka(Kafka),
}

impl TestBroker {
    /// A new broker in memory.
    pub fn memory() -> Self {
        Self::Memory(MemoryBroker::new())
    }

    /// The brokers of `KAFKA_BROKERS` if that is set, else librdkafka's mock cluster in this process; with topics of its
    /// own, as [`real_kafka`](Self::real_kafka) describes.
    ///
    /// # Panics
    /// The mock cluster does not start, or the real brokers create no topics.
    #[cfg(feature = "kafka")]
    pub async fn kafka() -> Self {
        Self::Kafka(match servers::given_brokers() {
            Some(brokers) => Kafka::on(brokers).await,
            None => Kafka::mock_like_real(),
        })
    }

    /// Real Kafka brokers: those of `KAFKA_BROKERS`; else one that is started for all tests of this process, from the
    /// folder of Apache Kafka in `KAFKA_HOME`, or with the feature `testcontainers` in a container.
    ///
    /// The topics of this program's events are created, with three partitions and names that begin with
    /// [`topic_prefix`](Self::topic_prefix), and deleted with the last clone of this value.
    ///
    /// # Panics
    /// There are no brokers, or they create no topics.
    #[cfg(feature = "kafka")]
    pub async fn real_kafka() -> Self {
        Self::Kafka(Kafka::on(servers::brokers().await).await)
    }

    /// These brokers: `host:port`, separated by commas. The topics of this program's events are created if they are not
    /// there, with three partitions and their own names: whoever uses the brokers shares them.
    ///
    /// # Panics
    /// They create no topics.
    #[cfg(feature = "kafka")]
    pub async fn kafka_at(brokers: impl Into<String>) -> Self {
        Self::Kafka(Kafka::at(brokers.into()).await)
    }

    /// librdkafka's mock cluster, in this process. The topics of this program's events are there, with three partitions.
    ///
    /// # Panics
    /// It does not start.
    #[cfg(feature = "kafka")]
    pub fn mock_kafka() -> Self {
        Self::Kafka(Kafka::mock())
    }

    /// Kafka's brokers, for a [`Consumer`](crate::Consumer) that reads from them; for a broker in memory an unused
    /// address, for a consumer that receives messages only from `deliver_to`.
    #[cfg(feature = "kafka")]
    pub fn brokers(&self) -> &str {
        match self {
            Self::Memory(_) => "127.0.0.1:1",
            Self::Kafka(kafka) => kafka.brokers(),
        }
    }

    /// What the topics of `kafka` and `real_kafka` begin with in the cluster, for
    /// [`ConsumerBuilder::topic_prefix`](crate::consumer::ConsumerBuilder::topic_prefix). Empty for the other brokers.
    pub fn topic_prefix(&self) -> &str {
        match self {
            Self::Memory(_) => "",
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.prefix(),
        }
    }

    /// Stops the broker: it accepts nothing and does not answer.
    ///
    /// # Panics
    /// It is a real one.
    pub fn down(&self) {
        match self {
            Self::Memory(broker) => broker.hold(),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.down(),
        }
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It is a real one.
    pub fn up(&self) {
        match self {
            Self::Memory(broker) => broker.release(),
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka.up(),
        }
    }

    /// Delivers all records of the consumer's topics to it, from the beginning, one after another, and returns when
    /// each is processed, skipped or dead-lettered. A second call redelivers everything.
    ///
    /// # Panics
    /// Kafka's records cannot be read, or the consumer has another prefix of topics.
    #[cfg(feature = "kafka")]
    pub async fn deliver_to<DB>(&self, consumer: &crate::Consumer<DB>)
    where
        DB: crate::OutboxDatabase + crate::schema::SchemaDatabase,
    {
        for record in self.records(consumer.topics()).await {
            consumer.deliver(&record).await;
        }
    }

    /// All records of these topics now; their names as in the cluster, with the prefix.
    ///
    /// # Panics
    /// Kafka's records cannot be read, or a topic is none of this broker's.
    #[cfg(feature = "kafka")]
    pub async fn records(&self, topics: &[String]) -> Vec<InboxMessage> {
        let prefix = self.topic_prefix();
        if let Some(other) = topics.iter().find(|topic| !topic.starts_with(prefix)) {
            panic!(
                "the topic `{other}` is none of this broker's, whose names begin with `{prefix}`: build the consumer with \
                 `.topic_prefix(broker.topic_prefix())`"
            );
        }
        match self {
            Self::Memory(broker) => {
                let mut records = in_memory(broker);
                records.retain(|record| topics.iter().any(|topic| topic == record.topic()));
                records
            }
            Self::Kafka(kafka) => kafka.read_all(topics.to_vec()).await,
        }
    }

    /// The first `count` records with one of these ids, or all if there are fewer.
    pub(super) async fn read(
        &self,
        topics: HashSet<String>,
        ids: HashSet<Uuid>,
        count: usize,
    ) -> Vec<InboxMessage> {
        let wanted = move |record: &InboxMessage| {
            let id = record.header("ce_id").and_then(|id| Uuid::parse_str(id).ok());
            id.is_some_and(|id| ids.contains(&id))
        };
        match self {
            Self::Memory(broker) => {
                let in_topics = |record: &InboxMessage| topics.contains(record.topic());
                let records = in_memory(broker)
                    .into_iter()
                    .filter(|record| in_topics(record) && wanted(record));
                records.take(count).collect()
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => {
                let prefix = kafka.prefix();
                let topics = topics.iter().map(|topic| format!("{prefix}{topic}"));
                kafka.read_until(topics.collect(), wanted, count).await
            }
        }
    }
}

/// The log as a consumer would get it: one partition, whose offsets are places in the log.
fn in_memory(broker: &MemoryBroker) -> Vec<InboxMessage> {
    let records = broker.log().into_iter().enumerate();
    records
        .map(|(offset, record)| received(i64::try_from(offset).unwrap_or(i64::MAX), record))
        .collect()
}

fn received(offset: i64, record: MemoryRecord) -> InboxMessage {
    let message = InboxMessage::new(record.topic, 0, offset)
        .with_timestamp_ms(record.timestamp_ms)
        .with_key(record.key);
    let message = match record.value {
        Some(value) => message.with_value(value),
        None => message,
    };
    let headers = record.headers.into_iter();
    headers.fold(message, |message, (name, value)| {
        message.with_header(name, value.unwrap_or_default())
    })
}
