//! Publishers.

use outbox_runtime::KafkaPublisher;
use outbox_runtime::testkit::{
    MemoryBroker, MemoryPublisher, MemoryRecord, PublisherHarness, publisher_suite,
};
use outbox_tests::kafka::{ReadRecord, Topic, read_all};
use outbox_tests::servers;
use rdkafka::mocking::MockCluster;

struct InMemory(MemoryBroker);

impl PublisherHarness for InMemory {
    type Publisher = MemoryPublisher;

    fn publisher(&self) -> MemoryPublisher {
        self.0.publisher()
    }

    async fn topic(&self) -> String {
        format!("suite-{}", self.0.sent())
    }

    async fn read(&self, topic: &str) -> Vec<MemoryRecord> {
        self.0
            .log()
            .into_iter()
            .filter(|record| record.topic == topic)
            .collect()
    }
}

struct OnKafka {
    brokers: String,
}

impl PublisherHarness for OnKafka {
    type Publisher = KafkaPublisher;

    fn publisher(&self) -> KafkaPublisher {
        KafkaPublisher::builder(&self.brokers)
            .build()
            .expect("the properties are right")
    }

    async fn topic(&self) -> String {
        Topic::create_at(&self.brokers, "suite", 3, &[])
            .await
            .name()
            .to_owned()
    }

    async fn read(&self, topic: &str) -> Vec<MemoryRecord> {
        read_all(&self.brokers, topic)
            .await
            .into_iter()
            .map(in_memory)
            .collect()
    }
}

struct OnMock(OnKafka);

impl PublisherHarness for OnMock {
    type Publisher = KafkaPublisher;

    fn publisher(&self) -> KafkaPublisher {
        let builder = KafkaPublisher::builder(&self.0.brokers).assume_topic_limits();
        builder.build().expect("the properties are right")
    }

    /// The mock cluster has no admin interface, and makes a topic when it is asked for.
    async fn topic(&self) -> String {
        format!("suite-{}", uuid::Uuid::new_v4().simple())
    }

    async fn read(&self, topic: &str) -> Vec<MemoryRecord> {
        self.0.read(topic).await
    }
}

fn in_memory(record: ReadRecord) -> MemoryRecord {
    MemoryRecord {
        id: record.event_id().expect("every record has an event id"),
        key: record.key_text().expect("every key is text").to_owned(),
        timestamp_ms: record.timestamp_ms.expect("every record has a timestamp"),
        topic: record.topic,
        value: record.value,
        headers: record.headers,
    }
}

#[tokio::test]
async fn memory() {
    publisher_suite(&InMemory(MemoryBroker::new())).await;
}

/// The mock cluster cannot leave the thread that made it.
#[tokio::test]
async fn mock_cluster() {
    let (brokers_tx, brokers) = tokio::sync::oneshot::channel();
    let (done, until_done) = std::sync::mpsc::channel::<()>();
    let cluster = std::thread::spawn(move || {
        let cluster = MockCluster::new(1).expect("a mock cluster starts");
        brokers_tx
            .send(cluster.bootstrap_servers())
            .expect("the test waits");
        // Ends when the test drops the other side.
        let _ = until_done.recv();
    });
    let brokers = brokers.await.expect("the mock cluster started");
    publisher_suite(&OnMock(OnKafka { brokers })).await;
    drop(done);
    cluster.join().expect("the mock cluster ends well");
}

#[tokio::test]
async fn kafka() {
    publisher_suite(&OnKafka {
        brokers: servers::brokers(),
    })
    .await;
}
