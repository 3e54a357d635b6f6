//! Publishers.

use std::collections::BTreeSet;
use std::time::Duration;

use outbox_runtime::KafkaPublisher;
use outbox_runtime::publisher::{PublishErrorKind, Publisher as _};
use outbox_runtime::record::{OutboxRecord, WireOptions};
use outbox_runtime::testkit::{
    MemoryBroker, MemoryPublisher, MemoryRecord, PublisherHarness, publisher_suite,
};
use outbox_tests::delay::DelayProxy;
use outbox_tests::kafka::{ReadRecord, Topic, read_all};
use outbox_tests::servers::{self, KafkaServer};
use outbox_tests::wait_until;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(120);

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
struct Mock {
    brokers: String,
    /// Ends the thread when it is dropped.
    orders: std::sync::mpsc::Sender<fn(&Cluster)>,
    thread: std::thread::JoinHandle<()>,
}

type Cluster = MockCluster<'static, DefaultProducerContext>;

impl Mock {
    async fn start() -> Self {
        let (brokers_tx, brokers) = tokio::sync::oneshot::channel();
        let (orders, taken) = std::sync::mpsc::channel::<fn(&Cluster)>();
        let thread = std::thread::spawn(move || {
            let cluster = MockCluster::new(1).expect("a mock cluster starts");
            brokers_tx
                .send(cluster.bootstrap_servers())
                .expect("the test waits");
            while let Ok(order) = taken.recv() {
                order(&cluster);
            }
        });
        Self {
            brokers: brokers.await.expect("the mock cluster started"),
            orders,
            thread,
        }
    }

    fn on_kafka(&self) -> OnMock {
        let brokers = self.brokers.clone();
        OnMock(OnKafka { brokers })
    }

    fn end(self) {
        drop(self.orders);
        self.thread.join().expect("the mock cluster ends well");
    }
}

#[tokio::test]
async fn mock_cluster() {
    let mock = Mock::start().await;
    publisher_suite(&mock.on_kafka()).await;
    mock.end();
}

/// A second one would be judged by a broker that has changed its mind since it refused the first: the mock cluster, which
/// does not mind an idempotent producer's numbers, takes it, and a real one makes librdkafka begin to count anew.
#[tokio::test]
async fn no_other_request_is_on_its_way_when_one_is_refused() {
    let mock = Mock::start().await;
    let harness = mock.on_kafka();
    let topic = harness.topic().await;
    let mut publisher = harness.publisher();
    publisher.start().expect("the publisher starts");
    publisher.prepare(&topic).await.expect("the topic is prepared");
    // Each is a request of its own. The mock cluster keeps no more than 5 MB.
    let payload = vec![b'x'; 900_000];
    let wire = WireOptions {
        default_source: "/suite".to_owned(),
        time_and_subject: false,
    };
    let mut settled = Vec::new();
    for (first, last) in [(0_u64, 1), (1, 5)] {
        for number in first..last {
            let record = OutboxRecord {
                seq: 1,
                id: Uuid::from_u128(number.into()),
                topic: &topic,
                key: "key",
                event_type: "SuiteEventV1",
                content_type: "application/json",
                source: None,
                headers: "{}",
                payload: Some(&payload),
                occurred_at_ms: 1_700_000_000_123,
            };
            publisher.send(number, &record, &wire).expect("it is taken");
        }
        while settled.len() < last as usize {
            publisher.settled(&mut settled).await;
        }
        // The connection is there now: the next requests go out as soon as they may.
        let refuse_one = |cluster: &Cluster| {
            cluster.request_errors(
                RDKafkaApiKey::Produce,
                &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS],
            );
            cluster
                .broker_round_trip_time(1, Duration::from_millis(100))
                .expect("the broker is slow");
        };
        mock.orders.send(refuse_one).expect("the mock cluster is there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(settled.iter().all(|settlement| settlement.result.is_ok()));
    let ids: Vec<u128> = harness
        .read(&topic)
        .await
        .iter()
        .map(|record| record.id.as_u128())
        .collect();
    assert_eq!(ids, [0, 1, 2, 3, 4]);
    mock.end();
}

#[tokio::test]
async fn kafka() {
    publisher_suite(&OnKafka {
        brokers: servers::brokers(),
    })
    .await;
}

/// As shown once the topic is prepared.
async fn producers_for(topic: &str, brokers: &str) -> usize {
    let builder = KafkaPublisher::builder(brokers);
    let mut publisher = builder.build().expect("the properties are right");
    publisher.start().expect("the publisher starts");
    publisher.prepare(topic).await.expect("the topic is prepared");
    let shown = format!("{publisher:?}");
    let number = shown
        .split("producers: ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number of producers")
}

/// The round trip to the broker decides how many producers share the partitions of a topic.
#[tokio::test]
async fn a_far_broker_has_more_producers_than_a_near_one() {
    let proxy = DelayProxy::reserve().await;
    let (kafka, ports) = KafkaServer::start_with_listeners(&[proxy.port()]).await;
    let proxy = proxy.forward(ports[0], Duration::from_millis(10));
    let topic = Topic::create_at(&kafka.brokers(), "far", 6, &[]).await;
    let far = format!("127.0.0.1:{}", proxy.port());
    let producers = producers_for(topic.name(), &far).await;
    assert_eq!(producers, 6);
    // A machine that is busy all the time answers late.
    wait_until("the near broker to need fewer producers", LIMIT, async || {
        (producers_for(topic.name(), &kafka.brokers()).await <= 4).then_some(())
    })
    .await;
}

/// The settings of topics that follow are read together with those of the first one. Afterwards the broker is not needed
/// for that.
#[tokio::test]
async fn announced_topics_are_looked_up_in_one_request() {
    let mut kafka = KafkaServer::start().await;
    let (first, second) = (
        Topic::create_at(&kafka.brokers(), "announced", 1, &[]).await,
        Topic::create_at(&kafka.brokers(), "announced", 6, &[]).await,
    );
    let builder = KafkaPublisher::builder(kafka.brokers());
    let mut publisher = builder.build().expect("the properties are right");
    publisher.start().expect("the publisher starts");
    publisher.announce(&BTreeSet::from([
        first.name(),
        second.name(),
        "announced-and-missing",
    ]));
    assert!(publisher.is_announced(second.name()) && !publisher.is_announced("another"));
    publisher.prepare(first.name()).await.expect("the broker answers");
    let missing = publisher.prepare("announced-and-missing").await;
    assert_eq!(
        missing.expect_err("it is not there").kind(),
        PublishErrorKind::Topic
    );
    kafka.stop().await;
    assert!(publisher.is_announced(second.name()));
    publisher
        .prepare(second.name())
        .await
        .expect("it is known already");
    assert!(!publisher.is_announced(second.name()));
}
