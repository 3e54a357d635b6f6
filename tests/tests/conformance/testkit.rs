//! The test kit for services, on the real servers.

use std::time::Duration;

use outbox_runtime::testkit::{TestBroker, TestOutbox};
use outbox_runtime::{OutboxEvent, OutboxTx, transactional};
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::{Deserialize, Serialize};
use sqlx::Postgres;

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.order.placed.v1", aggregate = "order", key = order_id, headers("x-tenant" = tenant))]
struct TestkitOrderPlacedV1 {
    order_id: i64,
    tenant: String,
}

fn placed(order_id: i64) -> TestkitOrderPlacedV1 {
    TestkitOrderPlacedV1 {
        order_id,
        tenant: "acme".to_owned(),
    }
}

#[transactional]
async fn place(tx: &mut OutboxTx<'_, Postgres>, order_id: i64) -> Result<(), outbox_runtime::Error> {
    tx.emit(placed(order_id)).map(drop)
}

/// How many topics begin so.
async fn topics(brokers: &str, prefix: &str) -> usize {
    let (brokers, prefix) = (brokers.to_owned(), prefix.to_owned());
    let count = move || {
        let mut config = rdkafka::ClientConfig::new();
        let client: BaseConsumer = config
            .set("bootstrap.servers", brokers)
            .create()
            .expect("a client can be made");
        let metadata = client.fetch_metadata(None, Duration::from_secs(60));
        let metadata = metadata.expect("the brokers list their topics");
        let topics = metadata.topics().iter();
        topics.filter(|topic| topic.name().starts_with(&prefix)).count()
    };
    tokio::task::spawn_blocking(count)
        .await
        .expect("counting does not panic")
}

/// Two tests at once find nothing of each other on the same brokers.
#[tokio::test]
async fn each_test_has_topics_of_its_own() {
    let (one, other) = tokio::join!(TestBroker::real_kafka(), TestBroker::real_kafka());
    assert_eq!(one.brokers(), other.brokers());
    for (broker, number) in [(&one, 1), (&other, 2)] {
        let test = TestOutbox::<Postgres>::new().await.with_broker(broker);
        place(test.outbox(), number).await.expect("it commits");
        test.relay_until_empty().await;
    }
    for (broker, number) in [(&one, "1"), (&other, "2")] {
        let topic = format!("{}testkit.order.placed.v1", broker.topic_prefix());
        let records = broker.records(&[topic]).await;
        let keys: Vec<_> = records.iter().map(|record| record.key()).collect();
        assert_eq!(keys, [Some(number.as_bytes())]);
    }
}

#[tokio::test]
async fn a_test_outbox_works_on_real_servers_and_leaves_nothing_behind() {
    let test = TestOutbox::<Postgres>::new()
        .await
        .with_broker(&TestBroker::real_kafka().await);
    test.fail_before_commit();
    place(test.outbox(), 6).await.expect_err("the connection breaks");
    place(test.outbox(), 7).await.expect("it commits");
    let emitted = test
        .assert_emitted::<TestkitOrderPlacedV1>(|event| event.order_id == 7)
        .await;
    assert_eq!(emitted.header("x-tenant"), Some("acme"));
    test.assert_nothing_else().await;
    assert_eq!(test.relay_until_empty().await.delivered, 1);
    let consumed = test.consume::<TestkitOrderPlacedV1>(1).await;
    assert_eq!(consumed, [placed(7)]);
    let id = emitted.message().id().to_string();
    assert_eq!(consumed[0].record().header("ce_id"), Some(&*id));

    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(test.pool())
        .await
        .expect("the database has a name");
    let (brokers, prefix) = (
        test.broker().brokers().to_owned(),
        test.broker().topic_prefix().to_owned(),
    );
    assert_eq!(
        consumed[0].record().topic(),
        format!("{prefix}testkit.order.placed.v1")
    );
    assert!(
        topics(&brokers, &prefix).await > 1,
        "the events have no topics of their own"
    );
    drop(test);
    assert_eq!(
        topics(&brokers, &prefix).await,
        0,
        "topics `{prefix}…` are left behind"
    );
    let others = TestOutbox::<Postgres>::new().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_one(others.pool())
        .await
        .expect("databases are listed");
    assert_eq!(left, 0, "{name} is left behind");
}
