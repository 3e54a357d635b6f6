//! Pausing a key, skipping, rewinding and throttling by the command line, beside relays of both modes.

use std::collections::BTreeMap;

use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::wait_until;
use serde_json::Value;

use crate::scene::{LIMIT, Scene, numbers, until_seen};

const MODES: [&str; 2] = ["at-least-once", "exactly-once"];

fn relay(scene: &Scene, mode: &str) -> Running {
    Running::start(scene.address.command(mode))
}

async fn json(scene: &Scene, command: &str) -> Value {
    let printed = scene.address.run(command).await.done();
    serde_json::from_str(&printed).unwrap()
}

async fn until_number(scene: &Scene, of: &str, number: i64) {
    wait_until(&format!("{number} to be the {of}"), LIMIT, async || {
        (scene.number(of).await == number).then_some(())
    })
    .await;
}

async fn until_nothing_waits(scene: &Scene) {
    wait_until("the cursor to be written", LIMIT, async || {
        let status = json(scene, "status --json").await;
        (status["backlog"]["messages"] == 0).then_some(())
    })
    .await;
}

/// The numbers of each key as they arrived, without those that came before.
async fn by_key(topic: &Topic) -> BTreeMap<String, Vec<u32>> {
    let mut of_keys: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for record in topic.read_committed().await {
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        let number = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let numbers = of_keys.entry(key).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    of_keys
}

async fn id_of(scene: &Scene, number: u32) -> String {
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM outbox_messages WHERE payload::text = $1")
        .bind(number.to_string())
        .fetch_one(scene.pool())
        .await
        .unwrap();
    id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_key_waits_and_others_go_on() {
    for mode in MODES {
        let scene = Scene::new(1).await;
        let topic = &scene.topics[0];
        let name = topic.name();
        scene
            .address
            .run(&format!("pause --topic {name} --key 3 --reason dispute"))
            .await
            .done();
        let running = relay(&scene, mode);
        scene.insert(topic, 0..50).await;
        until_seen(topic, 40).await;
        let parked = "count(*) FROM outbox_dead_letters WHERE reason = 'key_paused' AND aggregate_id = '3'";
        until_number(&scene, parked, 10).await;
        assert!(!by_key(topic).await.contains_key("3"), "{mode}");

        // Status and inspection show it.
        let status = json(&scene, "status --json").await;
        let paused = &status["paused"][0];
        assert_eq!(
            (&paused["scope"], &paused["name"]["key"]),
            (&"key".into(), &"3".into()),
            "{paused}"
        );
        let id = id_of(&scene, 3).await;
        let found = json(&scene, &format!("inspect {id} --json")).await;
        let message = &found["messages"][0];
        assert_eq!(message["state"], "parked", "{message}");
        assert_eq!(
            message["waits_for"],
            serde_json::json!(["an_operator"]),
            "{message}"
        );

        // Another relay finds it so, too.
        running.kill().await;
        let running = relay(&scene, mode);
        scene.insert(topic, 50..100).await;
        until_seen(topic, 80).await;
        until_number(&scene, parked, 20).await;
        scene
            .address
            .run(&format!("resume --topic {name} --key 3 --reason settled"))
            .await
            .done();
        scene.insert(topic, 100..120).await;
        until_seen(topic, 120).await;
        until_number(&scene, "count(*) FROM outbox_dead_letters", 0).await;
        assert!(
            by_key(topic).await.values().all(|numbers| numbers.is_sorted()),
            "{mode}"
        );
        if mode == "exactly-once" {
            assert_eq!(numbers(topic).await, (0..120).collect::<Vec<_>>());
        }
        running.stop().await.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_message_is_left_out_until_it_is_replayed() {
    for mode in MODES {
        let mut scene = Scene::new(1).await;
        scene.address.block = Some(scene.topics[0].name().to_owned());
        let topic = &scene.topics[0];
        scene.insert(topic, 0..20).await;
        let id = id_of(&scene, 8).await;
        let skip = format!("skip {id} --reason wrong --by ana");
        let asked = scene.address.run(&format!("{skip} --timeout 0s")).await.done();
        assert!(asked.contains("is skipped when its turn comes"), "{asked}");
        assert_eq!(json(&scene, "status --json").await["skips"][0]["id"], id.as_str());

        let running = relay(&scene, mode);
        until_seen(topic, 19).await;
        let skipped = "count(*) FROM outbox_dead_letters WHERE state = 'dead' AND reason = 'skipped'";
        until_number(&scene, skipped, 1).await;
        let done = scene.address.run(&skip).await.done();
        assert!(done.contains("it stands in the dead letters"), "{done}");
        let audit = json(&scene, "audit --json").await;
        assert_eq!(
            (&audit[0]["action"], &audit[0]["by"]),
            (&"skip".into(), &"ana".into()),
            "{audit}"
        );
        // Its key goes on, though its topic blocks.
        scene.insert(topic, 20..25).await;
        until_seen(topic, 24).await;
        assert!(!numbers(topic).await.contains(&8), "{mode}");

        let late = scene
            .address
            .run(&format!("skip {} --reason late", id_of(&scene, 9).await))
            .await;
        assert_eq!(late.code, Some(1), "{late:?}");
        scene
            .address
            .run(&format!("dead-letters replay {id} --wait"))
            .await
            .done();
        until_seen(topic, 25).await;
        assert_eq!(numbers(topic).await, (0..25).collect::<Vec<_>>(), "{mode}");
        running.stop().await.done();
    }
}

/// Nothing that is to be sent again can be pruned, as long as it waits.
async fn rewind_and_prune_while_the_log_is_paused(scene: &Scene, mode: &str) {
    scene.address.run("pause --log --reason rewind").await.done();
    let again = "rewind --to-seq 151 --send-again --reason lost";
    let done = scene.address.run(again).await.done();
    assert!(done.starts_with("50 delivered messages are sent again"), "{done}");
    scene.address.run("prune --keep until-acknowledged").await.done();
    let there = "count(*) FROM outbox_messages WHERE seq > 150";
    assert_eq!(scene.number(there).await, 50, "{mode}");
    assert!(
        scene.number("min(seq) FROM outbox_messages").await > 1,
        "it pruned the others"
    );
    let too_far = scene.address.run("rewind --to-seq 1").await;
    let oldest = scene.number("min(seq) FROM outbox_messages").await;
    let hint = format!("--to-seq {oldest}");
    assert!(
        too_far.code == Some(1) && too_far.stderr.contains(&hint),
        "{too_far:?}"
    );
}

/// How often a number is among those that arrived.
fn times(all: &[u32], number: u32) -> usize {
    all.iter().filter(|there| **there == number).count()
}

async fn until_all_come_again(topic: &Topic) {
    wait_until("all to come again", LIMIT, async || {
        let all = numbers(topic).await;
        let again = (190..200).all(|number| times(&all, number) >= 3)
            && (200..230).all(|number| times(&all, number) >= 2);
        (again && all.contains(&279)).then_some(())
    })
    .await;
}

#[track_caller]
fn assert_sent_again_from_there_on(all: &[u32], mode: &str) {
    assert!(
        (0..150).all(|number| times(all, number) == 1),
        "{mode}: from there on only"
    );
    let counts: Vec<_> = (150..230).map(|number| times(all, number)).collect();
    let expected: Vec<_> = (150..230)
        .map(|number| if (190..200).contains(&number) { 3 } else { 2 })
        .collect();
    // At-least-once delivery may lose its lease on a busy machine, and repeat what it had in flight.
    let enough = counts
        .iter()
        .zip(&expected)
        .all(|(count, expected)| count >= expected);
    assert!(
        counts == expected || (enough && mode == MODES[0]),
        "{mode}: {counts:?}"
    );
    assert!(
        (230..280).all(|number| (1..=2).contains(&times(all, number)) || mode == MODES[0]),
        "{mode}"
    );
}

/// A pruner runs beside it, the relay dies in it, and what is committed meanwhile comes as ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_sends_again_from_there_on_and_no_pruner_is_in_its_way() {
    for mode in MODES {
        let scene = Scene::new(1).await;
        let topic = &scene.topics[0];
        let running = relay(&scene, mode);
        scene.insert(topic, 0..200).await;
        until_seen(topic, 200).await;
        until_nothing_waits(&scene).await;
        let asked = scene.address.run("rewind --to-seq 151").await.done();
        assert!(
            asked.starts_with("50 delivered messages would be sent again"),
            "{asked}"
        );
        assert!(asked.contains("nothing was changed"), "{asked}");

        rewind_and_prune_while_the_log_is_paused(&scene, mode).await;
        scene.insert(topic, 200..230).await;
        scene.address.run("resume --log --reason go").await.done();
        until_seen(topic, 280).await;
        until_nothing_waits(&scene).await;
        running.kill().await;

        // In the middle of traffic, and by the time.
        let running = relay(&scene, mode);
        scene.insert(topic, 230..260).await;
        scene
            .address
            .run("rewind --to-seq 191 --send-again --reason lost")
            .await
            .done();
        scene.insert(topic, 260..280).await;
        until_all_come_again(topic).await;
        assert_sent_again_from_there_on(&numbers(topic).await, mode);
        let first = by_key(topic).await;
        assert!(
            first.values().all(|numbers| numbers.is_sorted()),
            "{mode}: {first:?}"
        );
        let audit = json(&scene, "audit --json").await;
        assert_eq!(audit[0]["action"], "rewind", "{audit}");
        running.stop().await.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_of_the_log_and_of_a_topic_are_followed() {
    for mode in MODES {
        let scene = Scene::new(2).await;
        let (slow, quick) = (&scene.topics[0], &scene.topics[1]);
        let throttle = |what: &str| format!("throttle --topic {} {what} --reason load", slow.name());
        scene.address.run(&throttle("--messages 20")).await.done();
        let throttles = json(&scene, "status --json").await["throttles"].clone();
        assert_eq!(throttles[0]["messages_per_second"], 20, "{throttles}");
        let running = relay(&scene, mode);
        scene.insert(slow, 0..200).await;
        scene.insert(quick, 0..200).await;
        until_seen(quick, 200).await;
        let sent = numbers(slow).await.len();
        assert!(sent < 200, "{mode}: it is not throttled");
        until_seen(slow, sent + 10).await;
        scene.address.run(&throttle("--off")).await.done();
        scene.insert(slow, 200..210).await;
        until_seen(slow, 210).await;
        until_number(&scene, "count(*) FROM outbox_dead_letters", 0).await;
        assert!(
            by_key(slow).await.values().all(|numbers| numbers.is_sorted()),
            "{mode}"
        );

        scene
            .address
            .run("throttle --log --messages 10 --reason load")
            .await
            .done();
        wait_until("the relay to follow", LIMIT, async || {
            let before = numbers(quick).await.len() as u32;
            scene.insert(quick, before..before + 30).await;
            until_seen(quick, before as usize + 5).await;
            let now = numbers(quick).await.len() as u32;
            (now < before + 30).then_some(())
        })
        .await;
        scene
            .address
            .run("throttle --log --off --reason done")
            .await
            .done();
        let all = scene.number("count(*) FROM outbox_messages").await - 210;
        until_seen(quick, all as usize).await;
        running.stop().await.done();
    }
}
