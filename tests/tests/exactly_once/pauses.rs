//! Paused topics and logs, in transactions: what waits comes once and in order when it is resumed.

use std::collections::HashMap;

use outbox_tests::kafka::Topic;
use outbox_tests::wait_until;

use crate::scene::{LIMIT, Scene, numbers, until_seen};

const PAUSED: &str = "count(*) FROM outbox_dead_letters WHERE state = 'parked' AND reason = 'topic_paused'";

/// Waits until each row is sent or parked.
async fn until_nothing_is_new(scene: &Scene) {
    wait_until("all rows to be settled", LIMIT, async || {
        let status = scene.address.run("status --json").await.done();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        (status["backlog"]["messages"] == 0).then_some(())
    })
    .await;
}

async fn until_waiting(scene: &Scene, records: i64) {
    wait_until("the paused topic's records to wait", LIMIT, async || {
        (scene.number(PAUSED).await == records).then_some(())
    })
    .await;
}

/// Waits for so many records, and finds each once and those of a key in order.
async fn until_arrived(topic: &Topic, records: u32) {
    until_seen(topic, records as usize).await;
    assert_eq!(numbers(topic).await, (0..records).collect::<Vec<_>>());
    let mut of_keys: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
    for record in topic.read_committed().await {
        let number = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        of_keys.entry(record.key.unwrap()).or_default().push(number);
    }
    for (key, numbers) in of_keys {
        assert!(numbers.is_sorted(), "{key:?}: {numbers:?}");
    }
}

/// The relay dies while the topic is paused, and once more while its records go out.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_topic_waits_while_others_go_on_and_comes_once() {
    let scene = Scene::new(2).await;
    let (orders, others) = (&scene.topics[0], &scene.topics[1]);
    let pause = format!("pause --topic {} --reason maintenance", orders.name());
    let relay = scene.address.relay();
    scene.insert(orders, 0..20).await;
    until_arrived(orders, 20).await;
    scene.address.run(&pause).await.done();
    // A relay follows within a second; what is written before it does is sent.
    let mut written = 20;
    while scene.number(PAUSED).await == 0 {
        assert!(written < 150, "the relay does not follow");
        scene.insert(orders, written..written + 1).await;
        written += 1;
        until_nothing_is_new(&scene).await;
    }
    let sent = numbers(orders).await.len() as i64;
    scene.insert(orders, written..200).await;
    scene.insert(others, 0..50).await;
    until_arrived(others, 50).await;
    until_waiting(&scene, 200 - sent).await;
    relay.kill().await;

    let relay = scene.address.relay();
    scene.insert(others, 50..100).await;
    until_arrived(others, 100).await;
    until_waiting(&scene, 200 - sent).await;
    assert_eq!(numbers(orders).await.len() as i64, sent, "it is paused");
    relay.stop().await.done();

    let resume = format!("resume --topic {} --reason done", orders.name());
    scene.address.run(&resume).await.done();
    let died = scene
        .address
        .relay_with("transaction_committed=kill:1")
        .ended()
        .await;
    assert_eq!(died.code, None, "{died:?}");
    scene.insert(orders, 200..220).await;
    scene.address.drain("exactly-once").await.done();
    until_arrived(orders, 220).await;
    assert_eq!(scene.number("count(*) FROM outbox_dead_letters").await, 0);
}

/// A paused log is read no further, by this relay and the next, and nothing of it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_log_waits_and_comes_once() {
    let scene = Scene::new(1).await;
    let topic = &scene.topics[0];
    let relay = scene.address.relay();
    scene.insert(topic, 0..20).await;
    until_arrived(topic, 20).await;
    relay.stop().await.done();
    scene.address.run("pause --log --reason maintenance").await.done();
    let relay = scene.address.relay();
    scene.insert(topic, 20..40).await;
    let active = "count(*) FROM outbox_lease WHERE holder IS NOT NULL";
    wait_until("the relay to be active", LIMIT, async || {
        (scene.number(active).await == 1).then_some(())
    })
    .await;
    assert_eq!(numbers(topic).await.len(), 20, "the log is paused");
    scene.address.run("resume --log --reason done").await.done();
    until_arrived(topic, 40).await;
    relay.stop().await.done();
}
