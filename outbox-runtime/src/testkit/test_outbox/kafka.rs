//! A broker that speaks Kafka's protocol: librdkafka's mock cluster, or a real one.

mod topics;

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use self::topics::{OwnTopics, create_topics, declared_topics};
use crate::inbox::InboxMessage;
use crate::publisher::KafkaPublisher;

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 3;
/// The mock cluster's only broker.
const BROKER: i32 = 1;

/// A broker. Clones share it.
#[derive(Debug, Clone)]
pub struct Kafka {
    brokers: String,
    /// What its topics begin with.
    prefix: String,
    /// None for a real one.
    mock: Option<Arc<Mock>>,
    /// Topics on real brokers that go with the last clone.
    _own: Option<Arc<OwnTopics>>,
}

/// The mock cluster, which has to stay in the thread that made it.
#[derive(Debug)]
struct Mock {
    orders: mpsc::Sender<(Order, mpsc::Sender<()>)>,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Down,
    Up,
}

impl Kafka {
    /// Real brokers, whose topics others use, too.
    pub(super) async fn at(brokers: String) -> Self {
        create_topics(&brokers, declared_topics("")).await;
        Self {
            brokers,
            prefix: String::new(),
            mock: None,
            _own: None,
        }
    }

    /// Topics of one's own on real brokers.
    pub(super) async fn on(brokers: String) -> Self {
        let prefix = new_prefix();
        // Before they are created, so that they also go if something is wrong with one of them.
        let own = OwnTopics::new(&brokers, &prefix);
        create_topics(&brokers, declared_topics(&prefix)).await;
        Self {
            brokers,
            prefix,
            mock: None,
            _own: Some(Arc::new(own)),
        }
    }

    /// A cluster in this process.
    pub(super) fn mock() -> Self {
        Self::mock_with(String::new())
    }

    /// The same, with topics that have a prefix as on real brokers.
    pub(super) fn mock_like_real() -> Self {
        Self::mock_with(new_prefix())
    }

    fn mock_with(prefix: String) -> Self {
        let (brokers, mock) = Mock::start(declared_topics(&prefix));
        Self {
            brokers,
            prefix,
            mock: Some(Arc::new(mock)),
            _own: None,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    pub(super) fn publisher(&self) -> KafkaPublisher {
        let mut builder = KafkaPublisher::builder(&self.brokers).topic_prefix(&self.prefix);
        if self.mock.is_some() {
            // The mock cluster has no settings to ask for.
            builder = builder.assume_topic_limits();
        }
        builder.build().expect("the brokers' addresses are valid")
    }

    pub(super) fn down(&self) {
        self.order(Order::Down);
    }

    pub(super) fn up(&self) {
        self.order(Order::Up);
    }

    fn order(&self, order: Order) {
        let Some(mock) = &self.mock else {
            panic!(
                "a test does not stop real brokers: `TestBroker::mock_kafka()` is a broker in this process"
            );
        };
        mock.order(order);
    }

    pub(super) async fn read_all(&self, topics: Vec<String>) -> Vec<InboxMessage> {
        let brokers = self.brokers.clone();
        let read = tokio::task::spawn_blocking(move || Reading::start(&brokers, &topics).all());
        read.await.expect("the records can be read")
    }

    pub(super) async fn read_until(
        &self,
        topics: Vec<String>,
        wanted: impl Fn(&InboxMessage) -> bool + Send + 'static,
        count: usize,
    ) -> Vec<InboxMessage> {
        let brokers = self.brokers.clone();
        let read =
            tokio::task::spawn_blocking(move || Reading::start(&brokers, &topics).until(wanted, count));
        read.await.expect("the records can be read")
    }
}

impl Mock {
    /// With the addresses of its brokers.
    fn start(topics: BTreeSet<String>) -> (String, Self) {
        let (orders, received) = mpsc::channel::<(Order, mpsc::Sender<()>)>();
        let (started, brokers) = mpsc::channel();
        std::thread::spawn(move || {
            let cluster = MockCluster::new(1).expect("the mock cluster starts");
            for topic in topics {
                cluster
                    .create_topic(&topic, PARTITIONS, 1)
                    .expect("the topic is created");
            }
            let _ = started.send(cluster.bootstrap_servers());
            // Until the last clone is gone.
            while let Ok((order, done)) = received.recv() {
                let obeyed = match order {
                    Order::Down => cluster.broker_down(BROKER),
                    Order::Up => cluster.broker_up(BROKER),
                };
                obeyed.expect("the mock cluster obeys");
                let _ = done.send(());
            }
        });
        (brokers.recv().expect("the mock cluster starts"), Self { orders })
    }

    fn order(&self, order: Order) {
        let (done, obeyed) = mpsc::channel();
        let sent = self.orders.send((order, done));
        sent.expect("the mock cluster runs");
        obeyed.recv().expect("the mock cluster obeys");
    }
}

/// What no other test's topics begin with.
fn new_prefix() -> String {
    format!("test-{}.", Uuid::now_v7().simple())
}

/// A look at topics from their beginning.
struct Reading {
    consumer: BaseConsumer,
    partitions: Vec<(String, i32)>,
}

impl Reading {
    fn start(brokers: &str, topics: &[String]) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "outbox-testkit")
            .set("enable.auto.commit", "false")
            .create()
            .expect("the brokers' addresses are valid");
        let mut partitions = Vec::new();
        for topic in topics {
            let metadata = consumer
                .fetch_metadata(Some(topic), PATIENCE)
                .expect("the broker reports its topics");
            let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
            partitions.extend(found.map(|partition| (topic.clone(), partition.id())));
        }
        Self { consumer, partitions }
    }

    /// Begins to fetch. Whatever else is asked of the broker is asked before, because answers come in the order of
    /// requests, and a fetch waits for records.
    fn assign(&self) {
        let mut assignment = TopicPartitionList::new();
        for (topic, partition) in &self.partitions {
            let added = assignment.add_partition_offset(topic, *partition, Offset::Beginning);
            added.expect("a partition can be read from its beginning");
        }
        self.consumer.assign(&assignment).expect("partitions can be read");
    }

    /// What is there now.
    fn all(self) -> Vec<InboxMessage> {
        let ends: i64 = self
            .partitions
            .iter()
            .map(|(topic, partition)| {
                let marks = self.consumer.fetch_watermarks(topic, *partition, PATIENCE);
                let (low, high) = marks.expect("the broker reports its offsets");
                high - low
            })
            .sum();
        let count = usize::try_from(ends).unwrap_or_default();
        let read = self.until(|_| true, count);
        assert!(
            read.len() >= count,
            "the broker has {count} records and gave {}",
            read.len()
        );
        read
    }

    /// The first so many that are wanted, or what has come when patience is at its end.
    fn until(&self, wanted: impl Fn(&InboxMessage) -> bool, count: usize) -> Vec<InboxMessage> {
        self.assign();
        let end = Instant::now() + PATIENCE;
        let mut read = Vec::new();
        while read.len() < count && Instant::now() < end {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let message = InboxMessage::from_kafka(&message);
                    if wanted(&message) {
                        read.push(message);
                    }
                }
                // The broker may be on its way back.
                Some(Err(KafkaError::MessageConsumption(_))) | None => {}
                Some(Err(error)) => panic!("the records cannot be read: {error}"),
            }
        }
        read
    }
}
