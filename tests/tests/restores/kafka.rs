//! A Kafka cluster that was replaced by another one.

use outbox_tests::kafka::Topic;
use outbox_tests::servers::KafkaServer;
use outbox_tests::{TestDatabase, wait_until};

use crate::scene::{LIMIT, insert, number, numbers, outbox, range, relay, until_arrived};

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_kafka_is_reported_and_relaying_goes_on_from_the_cursor() {
    let database = TestDatabase::postgres().await;
    let (old, new) = tokio::join!(KafkaServer::start(), KafkaServer::start());
    let old_topic = Topic::create_at(&old.brokers(), "replaced", 2, &[]).await;
    let new_topic = Topic::named(&new.brokers(), old_topic.name(), 2);
    new_topic.create_again(&[]).await;
    let url = database.url();
    for epoch in 0..2 {
        let relay = relay(&url, &old.brokers());
        insert(&database.pool, &old_topic, 10 * epoch..10 * (epoch + 1)).await;
        until_arrived(&old_topic, &range(0..10 * (epoch + 1))).await;
        let noted = format!(
            "count(*) FROM outbox_cursor WHERE kafka_cluster_id = '{}'",
            old.cluster_id()
        );
        wait_until("the cluster to be noted", LIMIT, async || {
            (number(&database.pool, &noted).await == 1).then_some(())
        })
        .await;
        let ran = relay.stop().await;
        assert!(!ran.stderr.contains("another Kafka"), "{}", ran.stderr);
        ran.done();
    }
    let mut relay = relay(&url, &new.brokers());
    insert(&database.pool, &old_topic, 20..30).await;
    relay.says("another Kafka cluster than before").await;
    until_arrived(&new_topic, &range(20..30)).await;
    relay.stop().await.done();
    assert_eq!(
        numbers(&new_topic).await,
        range(20..30),
        "what the old one had was sent to the new one"
    );

    // The operator may want it there after all: what is still in the log.
    outbox(&format!("adopt -D {url} --without-cursor send"))
        .await
        .done();
    let all = format!("relay -D {url} --brokers {} --until-empty", new.brokers());
    assert_eq!(outbox(&all).await.done(), "delivered 30 messages\n");
}
