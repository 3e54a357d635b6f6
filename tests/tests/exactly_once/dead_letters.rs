//! Records that cannot be delivered, and topics that take none, in transactions.

use std::time::Duration;

use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::{servers, wait_until};
use uuid::Uuid;

use crate::scene::{LIMIT, Scene, numbers, until_seen};

pub(crate) const DEAD: &str = "count(*) FROM outbox_dead_letters WHERE state = 'dead'";
pub(crate) const PARKED: &str = "count(*) FROM outbox_dead_letters WHERE state = 'parked'";

/// An event that its topic does not take, which has a limit of 20,000 bytes.
pub(crate) async fn insert_large(scene: &Scene, topic: &Topic) {
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  VALUES ('order', '1', 'OrderPlacedV1', $1, to_json(repeat('x', 30000)))";
    sqlx::query(insert)
        .bind(topic.name())
        .execute(scene.pool())
        .await
        .unwrap();
}

pub(crate) async fn small_topic() -> Topic {
    let settings = [("max.message.bytes", "20000")];
    Topic::create_at(&servers::brokers(), "once-small", 3, &settings).await
}

/// One record in the middle, and relays that die at each step around it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_dead_lettered_once_and_takes_no_neighbour_along() {
    let scene = Scene::new(0).await;
    let topic = small_topic().await;
    let mut expected = 0;
    for (round, step) in [
        "dead_letters_written=kill:1",
        "transaction_sent=kill:1",
        "transaction_committed=kill:1",
    ]
    .into_iter()
    .enumerate()
    {
        // Behind the switch to this mode, which is a transaction too.
        scene.address.drain("exactly-once").await.done();
        scene.insert(&topic, expected..expected + 50).await;
        insert_large(&scene, &topic).await;
        scene.insert(&topic, expected + 50..expected + 100).await;
        expected += 100;
        let died = scene.address.relay_with(step).ended().await;
        assert_eq!(died.code, None, "{step}: {died:?}");
        assert_eq!(
            scene.number(DEAD).await,
            round as i64 + 1,
            "{step}: it is dead-lettered first"
        );
        scene.address.drain("exactly-once").await.done();
        assert_eq!(numbers(&topic).await, (0..expected).collect::<Vec<_>>(), "{step}");
        assert_eq!(scene.number(DEAD).await, round as i64 + 1, "{step}: and once");
    }
}

/// Its topic is changed meanwhile: what stands in the dead letters is not sent after all, before somebody says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_was_written_is_believed_and_can_be_replayed_once() {
    let scene = Scene::new(0).await;
    let topic = small_topic().await;
    scene.address.drain("exactly-once").await.done();
    insert_large(&scene, &topic).await;
    let died = scene
        .address
        .relay_with("dead_letters_written=kill:1")
        .ended()
        .await;
    assert_eq!(died.code, None, "{died:?}");
    topic.set(&[("max.message.bytes", "1000000")]).await;
    // Before the transaction that leaves it out is committed.
    scene.address.run("dead-letters replay --all").await.done();
    for step in ["transaction_committed=kill:2", "transaction_sent=kill:1"] {
        let died = scene.address.relay_with(step).ended();
        let _ = tokio::time::timeout(Duration::from_secs(20), died).await;
    }
    scene.address.drain("exactly-once").await.done();
    assert_eq!(topic.read_committed().await.len(), 1);
    assert_eq!(scene.number("count(*) FROM outbox_dead_letters").await, 0);
}

/// An operator raises the limit and replays at once. The running relay has just asked for the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_was_raised_is_heeded_by_a_replay_at_once() {
    for mode in ["at-least-once", "exactly-once"] {
        let scene = Scene::new(0).await;
        let topic = small_topic().await;
        let relay = Running::start(scene.address.command(mode));
        insert_large(&scene, &topic).await;
        wait_until("a dead letter", LIMIT, async || {
            (scene.number(DEAD).await == 1).then_some(())
        })
        .await;
        topic.set(&[("max.message.bytes", "1000000")]).await;
        scene.address.run("dead-letters replay --all --wait").await.done();
        assert_eq!(topic.read_committed().await.len(), 1, "{mode}");
        // And lowered again, which the broker itself says.
        topic.set(&[("max.message.bytes", "20000")]).await;
        insert_large(&scene, &topic).await;
        wait_until("a dead letter", LIMIT, async || {
            (scene.number(DEAD).await == 1).then_some(())
        })
        .await;
        relay.stop().await.done();
    }
}

/// The missing topic's records wait in the dead letters while the other's flow, also through relays that die; when
/// the topic is there, they come, in order and once.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_holds_up_no_other_and_heals() {
    let scene = Scene::new(1).await;
    let well = scene.topics[0].clone();
    let missing = Topic::named(
        &servers::brokers(),
        &format!("once-missing-{}", Uuid::new_v4().simple()),
        3,
    );
    scene.address.drain("exactly-once").await.done();
    let relay = scene.address.relay();
    scene.insert(&well, 0..10).await;
    scene.insert(&missing, 0..10).await;
    scene.insert(&well, 10..20).await;
    until_seen(&well, 20).await;
    assert_eq!(scene.number(PARKED).await, 10);
    relay.kill().await;
    scene.insert(&missing, 10..20).await;
    scene.insert(&well, 20..30).await;
    let died = scene
        .address
        .relay_with("dead_letters_written=kill:1")
        .ended()
        .await;
    assert_eq!(died.code, None, "{died:?}");
    assert_eq!(scene.number(PARKED).await, 20);
    missing.ensure().await;
    // The first parked record that goes out is a transaction of its own: it dies before the row is deleted.
    let died = scene
        .address
        .relay_with("transaction_committed=kill:2")
        .ended()
        .await;
    assert_eq!(died.code, None, "{died:?}");
    let relay = scene.address.relay();
    until_seen(&missing, 20).await;
    scene.insert(&missing, 20..30).await;
    until_seen(&missing, 30).await;
    wait_until("nothing to be parked", LIMIT, async || {
        (scene.number(PARKED).await == 0).then_some(())
    })
    .await;
    relay.stop().await.done();
    assert_eq!(numbers(&missing).await, (0..30).collect::<Vec<_>>());
    assert_eq!(numbers(&well).await, (0..30).collect::<Vec<_>>());
    let mut last = std::collections::HashMap::new();
    for record in missing.read_committed().await {
        let number: u32 = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let before = last.insert(record.key.clone(), number);
        assert!(before.is_none_or(|before| before < number), "out of order");
    }
}

/// With nothing else to send there is no proof that the broker takes any: the records are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_alone_is_waited_for() {
    let scene = Scene::new(0).await;
    let missing = Topic::named(
        &servers::brokers(),
        &format!("once-alone-{}", Uuid::new_v4().simple()),
        1,
    );
    let relay = scene.address.relay();
    // Each is a page of a window of its own.
    for begin in (0..30).step_by(10) {
        scene.insert(&missing, begin..begin + 10).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(scene.number("count(*) FROM outbox_dead_letters").await, 0);
    missing.ensure().await;
    until_seen(&missing, 30).await;
    relay.stop().await.done();
    assert_eq!(numbers(&missing).await, (0..30).collect::<Vec<_>>());
}

/// Behind more of its records than are looked at, no other topic's would ever be reached: then the broker's word that it
/// is missing has to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_with_many_records_is_suspended() {
    let scene = Scene::new(1).await;
    let well = scene.topics[0].clone();
    let name = format!("once-heap-{}", Uuid::new_v4().simple());
    let missing = Topic::named(&servers::brokers(), &name, 3);
    scene.insert(&missing, 0..12_000).await;
    scene.insert(&well, 0..10).await;
    let relay = scene.address.relay();
    until_seen(&well, 10).await;
    missing.ensure().await;
    until_seen(&missing, 12_000).await;
    relay.stop().await.done();
    assert_eq!(numbers(&missing).await, (0..12_000).collect::<Vec<_>>());
    assert_eq!(numbers(&well).await, (0..10).collect::<Vec<_>>());
}

/// A key that is longer than an entry of an index, and a constraint of somebody's own on the dead letters: neither is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_the_dead_letters_refuse_holds_up_nothing() {
    let scene = Scene::new(1).await;
    sqlx::raw_sql("ALTER TABLE outbox_dead_letters ADD CONSTRAINT short CHECK (length(aggregate_id) < 7000)")
        .execute(scene.pool())
        .await
        .unwrap();
    let topic = &scene.topics[0];
    scene.insert(topic, 0..50).await;
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  SELECT 'order', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, length) AS n), 'E',
                         'no such topic', '{}' FROM unnest(ARRAY[200, 300]) AS length";
    sqlx::raw_sql(insert).execute(scene.pool()).await.unwrap();
    scene.insert(topic, 50..100).await;
    scene.address.drain("exactly-once").await.done();
    assert_eq!(numbers(topic).await, (0..100).collect::<Vec<_>>());
    let reasons: Vec<(String, i32)> =
        sqlx::query_as("SELECT reason, length(aggregate_id) FROM outbox_dead_letters ORDER BY seq")
            .fetch_all(scene.pool())
            .await
            .unwrap();
    let expected = [
        ("invalid_topic".to_owned(), 6400),
        ("not_storable".to_owned(), 200),
    ];
    assert_eq!(reasons, expected);
}
