//! Messages of other systems: no CloudEvents headers, those of Debezium, structured CloudEvents.

use std::time::Duration;

use outbox_runtime::{Consumer, InboxMessage, OutboxTx};
use outbox_tests::kafka::Topic;
use outbox_tests::numbers::{Number, act};
use outbox_tests::servers;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::Postgres;

use crate::scene::{Scene, quick, wait_for};

async fn send(topic: &str, headers: &[(&str, &str)], value: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers::brokers());
    let producer: FutureProducer = config.create().unwrap();
    let mut all = OwnedHeaders::new();
    for (key, value) in headers {
        all = all.insert(Header {
            key,
            value: Some(*value),
        });
    }
    let record = FutureRecord::to(topic).key("key").payload(value).headers(all);
    producer.send(record, Duration::from_secs(30)).await.unwrap();
}

/// The first number of a key.
fn first(key: &str) -> String {
    format!(r#"{{"key": "{key}", "number": 1}}"#)
}

async fn count(
    tx: &mut OutboxTx<'_, Postgres>,
    _message: &InboxMessage,
    number: Number,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    act(tx, &number).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_debezium_act_once_by_the_id_in_its_header() {
    let scene = Scene::new(1).await;
    let headers = [
        ("eventType", "NumberV1"),
        ("id", "0190c3b1-7f32-7d11-a1c4-2d6d0d6a6f00"),
    ];
    for _ in 0..3 {
        send(scene.topic.name(), &headers, &first("a")).await;
    }
    send(scene.topic.name(), &[("eventType", "NumberV1")], &first("b")).await;
    send(scene.topic.name(), &[("eventType", "OtherV1")], "{}").await;
    let builder = scene.builder().type_header("eventType").id_header("id");
    let consumer = builder.on("NumberV1", count).build().unwrap().spawn();
    wait_for(&consumer, 5).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!(
        (report.processed, report.duplicates, report.unknown),
        (2, 2, 1),
        "{report:?}"
    );
    assert_eq!(scene.acted().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_events_are_handled_as_binary_ones() {
    let scene = Scene::new(1).await;
    let event = |id: &str, data: &str| {
        format!(
            r#"{{"specversion": "1.0", "id": "{id}", "source": "/s", "type": "NumberV1", "data": {data}}}"#
        )
    };
    let headers = [("content-type", "application/cloudevents+json; charset=utf-8")];
    for (id, data) in [("1", first("a")), ("1", first("a")), ("2", first("b"))] {
        send(scene.topic.name(), &headers, &event(id, &data)).await;
    }
    let consumer = scene.builder().on("NumberV1", count).build().unwrap().spawn();
    wait_for(&consumer, 3).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!((report.processed, report.duplicates), (2, 1), "{report:?}");
    assert_eq!(scene.acted().await, 2);
}

/// Of two topics that one pattern finds, one has a handler of its own.
#[tokio::test(flavor = "multi_thread")]
async fn topics_without_headers_have_a_handler_and_a_pattern_finds_topics() {
    let scene = Scene::new(1).await;
    let base = scene.topic.name().to_owned();
    let (plain, typed) = (format!("{base}.plain"), format!("{base}.typed"));
    for topic in [&plain, &typed] {
        Topic::named(&servers::brokers(), topic, 1).ensure().await;
    }
    let unrelated = Topic::named(&servers::brokers(), &format!("{base}.typed.not"), 1);
    unrelated.ensure().await;
    send(&plain, &[], &first("a")).await;
    send(&typed, &[("ce_type", "NumberV1")], &first("b")).await;
    send(unrelated.name(), &[("ce_type", "NumberV1")], &first("c")).await;
    let (prefix, rest) = base.split_once('-').unwrap();
    let consumer = Consumer::builder(&scene.outbox, servers::brokers(), &scene.group)
        .topic_prefix(format!("{prefix}-"))
        .topic_pattern(format!(r"{rest}\.(plain|typed)"))
        .on_topic(format!("{rest}.plain"), count)
        .on("NumberV1", count)
        .config(quick())
        .build()
        .unwrap()
        .spawn();
    wait_for(&consumer, 2).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!((report.processed, report.unknown), (2, 0), "{report:?}");
    assert_eq!(scene.acted().await, 2);
}
