//! Topics that block, in transactions: a key waits behind its dead record, and everything of it comes once and in order.

use std::time::Duration;

use outbox_runtime::Tables;
use outbox_runtime::store::{DeadLetterFilter, DeadLetters};
use outbox_tests::kafka::Topic;
use outbox_tests::wait_until;
use rand::seq::IndexedRandom;

use crate::dead_letters::{DEAD, PARKED, insert_large, small_topic};
use crate::scene::{LIMIT, Scene, numbers};

/// What a consumer of committed records sees of the key of the large record, which stands for -1.
async fn seen_of_the_key(topic: &Topic) -> Vec<i32> {
    let records = topic.read_committed().await.into_iter();
    let of_the_key = records.filter(|record| record.key.as_deref() == Some(b"1"));
    of_the_key
        .map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap_or(-1))
        .collect()
}

async fn blocking_scene() -> (Scene, Topic) {
    let mut scene = Scene::new(0).await;
    let topic = small_topic().await;
    scene.address.block = Some(topic.name().to_owned());
    (scene, topic)
}

/// One record that its topic does not take, between others of its key, and relays that die at each step around it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_waits_behind_its_dead_record_and_goes_on_in_order() {
    let (scene, topic) = blocking_scene().await;
    scene.address.drain("exactly-once").await.done();
    scene.insert(&topic, 0..10).await;
    insert_large(&scene, &topic).await;
    scene.insert(&topic, 10..20).await;
    let died = scene
        .address
        .relay_with("dead_letters_written=kill:1")
        .ended()
        .await;
    assert_eq!(died.code, None, "{died:?}");
    // Those before it are delivered before it is dead-lettered: behind it they would come in the wrong order.
    assert_eq!(numbers(&topic).await, (0..10).collect::<Vec<_>>());
    scene.insert(&topic, 20..30).await;
    scene.address.drain("exactly-once").await.done();
    assert_eq!(seen_of_the_key(&topic).await, [1, 6]);
    let others = (0..30).filter(|number| number % 5 != 1).count();
    assert_eq!(topic.read_committed().await.len(), others + 2);
    assert_eq!((scene.number(DEAD).await, scene.number(PARKED).await), (1, 4));
    let why = "count(*) FROM outbox_dead_letters WHERE reason = 'behind_dead'";
    assert_eq!(scene.number(why).await, 4);

    // Its topic does not take it yet.
    scene.address.run("dead-letters replay --all").await.done();
    scene.address.drain("exactly-once").await.done();
    assert_eq!(seen_of_the_key(&topic).await, [1, 6]);
    assert_eq!((scene.number(DEAD).await, scene.number(PARKED).await), (1, 4));

    topic.set(&[("max.message.bytes", "1000000")]).await;
    scene.address.run("dead-letters replay --all").await.done();
    scene.insert(&topic, 30..40).await;
    for step in ["transaction_sent=kill:1", "transaction_committed=kill:1"] {
        let died = scene.address.relay_with(step).ended().await;
        assert_eq!(died.code, None, "{step}: {died:?}");
    }
    scene.address.drain("exactly-once").await.done();
    assert_eq!(seen_of_the_key(&topic).await, [1, 6, -1, 11, 16, 21, 26, 31, 36]);
    assert_eq!(scene.number("count(*) FROM outbox_dead_letters").await, 0);
}

/// Whoever discards the dead record lets the others of its key go.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_on_without_a_record_that_was_discarded() {
    let (scene, topic) = blocking_scene().await;
    let relay = scene.address.relay();
    insert_large(&scene, &topic).await;
    scene.insert(&topic, 0..10).await;
    wait_until("the key to wait", LIMIT, async || {
        (scene.number(PARKED).await == 2).then_some(())
    })
    .await;
    scene.address.run("dead-letters discard --all").await.done();
    wait_until("the key to go on", LIMIT, async || {
        (scene.number("count(*) FROM outbox_dead_letters").await == 0).then_some(())
    })
    .await;
    scene.insert(&topic, 10..20).await;
    relay.stop().await.done();
    scene.address.drain("exactly-once").await.done();
    assert_eq!(seen_of_the_key(&topic).await, [1, 6, 11, 16]);
}

/// A blocking topic that is missing is suspended like any other; when it is there, each key goes on in its order.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_heals_in_order() {
    let mut scene = Scene::new(1).await;
    let well = scene.topics[0].clone();
    let name = format!("blocking-missing-{}", uuid::Uuid::new_v4().simple());
    let missing = Topic::named(&outbox_tests::servers::brokers(), &name, 3);
    scene.address.block = Some("blocking-*".to_owned());
    let relay = scene.address.relay();
    for begin in (0..40).step_by(10) {
        scene.insert(&missing, begin..begin + 10).await;
        scene.insert(&well, begin..begin + 10).await;
    }
    wait_until("records to be parked", LIMIT, async || {
        (scene.number(PARKED).await == 40).then_some(())
    })
    .await;
    missing.ensure().await;
    scene.insert(&missing, 40..50).await;
    wait_until("nothing to be parked", LIMIT, async || {
        (scene.number(PARKED).await == 0).then_some(())
    })
    .await;
    relay.stop().await.done();
    scene.address.drain("exactly-once").await.done();
    assert_eq!(numbers(&missing).await, (0..50).collect::<Vec<_>>());
    let expected: Vec<i32> = (0..50).filter(|number| number % 5 == 1).collect();
    assert_eq!(seen_of_the_key(&missing).await, expected);
}

/// Beside concurrent writers a topic takes only small records for a while, relays die at each of their steps, and
/// whoever is dead is replayed, again and again, while new events of its key come in.
#[tokio::test(flavor = "multi_thread")]
async fn all_is_in_order_and_once_though_records_die_and_relays_too() {
    let mut scene = Scene::new(0).await;
    let topic = Topic::create("blocking", 3).await;
    scene.topics.push(topic.clone());
    scene.address.block = Some("blocking-*".to_owned());
    // Slow enough that a busy machine can deliver in a minute what they write as long as the test goes on.
    let writers = scene.writers(u64::MAX).keys(40).pause(Duration::from_millis(200));
    let writers = writers.start().await;
    let dead_letters = DeadLetters::in_postgres(scene.pool(), &Tables::default());
    let everything = DeadLetterFilter::default();
    let steps = [
        "dead_letters_written=kill:1",
        "dead_letters_written=kill:3",
        "window_begun=kill:2",
        "transaction_sent=kill:2",
        "transaction_sent=kill:5",
        "transaction_committed=kill:2",
        "transaction_committed=kill:4",
        "cursor_after=kill:1",
    ];
    let (mut deaths, mut replays, mut parked) = (0, 0, 0);
    for small in [true, false].into_iter().cycle() {
        let settings: &[_] = if small {
            &[("max.message.bytes", "300")]
        } else {
            &[]
        };
        topic.set(settings).await;
        let step = steps.choose(&mut rand::rng()).unwrap();
        let ended = scene.address.relay_with(step).ended();
        let time = tokio::time::sleep(Duration::from_secs(8));
        tokio::pin!(time, ended);
        loop {
            tokio::select! {
                ran = &mut ended => {
                    assert_eq!(ran.code, None, "{step}: {ran:?}");
                    deaths += 1;
                    break;
                }
                // What is dropped is killed.
                () = &mut time => break,
                () = tokio::time::sleep(Duration::from_millis(400)), if !small => {
                    replays += dead_letters.request_replay(&everything).await.unwrap();
                }
            }
        }
        parked = parked.max(scene.number(PARKED).await);
        if deaths >= 8 && replays >= 5 && parked >= 20 {
            break;
        }
    }
    let ledger = writers.stop().await;
    topic.set(&[]).await;
    wait_until("no dead letter to be left", LIMIT, async || {
        dead_letters.request_replay(&everything).await.unwrap();
        scene.address.drain("exactly-once").await.done();
        (dead_letters.count(&everything).await.unwrap() == 0).then_some(())
    })
    .await;
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
}

/// A topic is configured to block that did not: keys with dead letters wait from then on, each behind its first.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_waits_behind_an_earlier_dead_record_of_its_key() {
    let (mut scene, topic) = blocking_scene().await;
    let block = scene.address.block.take();
    insert_large(&scene, &topic).await;
    insert_large(&scene, &topic).await;
    scene.address.drain("exactly-once").await.done();
    assert_eq!(scene.number(DEAD).await, 2);
    topic.set(&[("max.message.bytes", "1000000")]).await;
    scene.address.block = block;
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM outbox_dead_letters ORDER BY position")
        .fetch_all(scene.pool())
        .await
        .unwrap();
    scene
        .address
        .run(&format!("dead-letters replay {}", ids[1]))
        .await
        .done();
    scene.insert(&topic, 0..5).await;
    scene.address.drain("exactly-once").await.done();
    assert_eq!(seen_of_the_key(&topic).await, [0_i32; 0]);
    assert_eq!(topic.read_committed().await.len(), 4);
    scene
        .address
        .run(&format!("dead-letters replay {}", ids[0]))
        .await
        .done();
    scene.address.drain("exactly-once").await.done();
    assert_eq!(seen_of_the_key(&topic).await, [-1, -1, 1]);
}
