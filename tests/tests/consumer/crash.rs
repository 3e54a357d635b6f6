//! Consumers that are killed between the transaction and the commit of its offset.

use std::process::Stdio;

use outbox_tests::{servers, wait_until};
use tokio::process::{Child, Command};

use crate::scene::{LIMIT, Scene};

/// A consumer in a process of its own, which commits offsets so seldom.
fn start(scene: &Scene, commit_interval_ms: u32) -> Child {
    let program = env!("CARGO_BIN_EXE_consume");
    Command::new(program)
        .args([
            &scene.database.url(),
            &servers::brokers(),
            scene.topic.name(),
            &scene.group,
        ])
        .arg(commit_interval_ms.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the consumer starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_killed_before_it_commits_offsets_acts_once() {
    let scene = Scene::new(2).await;
    let mut producer = scene.producer();
    producer.send(400, 10, 0);
    // Whenever it is killed, no offset is committed.
    for round in 1..=3 {
        let mut consumer = start(&scene, 3_600_000);
        scene.wait_for_acted(100 * round).await;
        consumer.kill().await.unwrap();
    }
    let acted = scene.acted().await;
    assert!(acted >= 300, "{acted}");
    let last = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(400).await;
    // It gets all from the beginning, and recognizes what was done.
    wait_until("the last consumer to come to the end", LIMIT, async || {
        let report = last.progress().report();
        (report.processed + report.duplicates >= 400).then_some(())
    })
    .await;
    let report = last.stop().await.unwrap().unwrap();
    assert!(report.duplicates >= 300, "{report:?}");
    assert_eq!((report.failures, report.dead_lettered), (0, 0));
    scene.assert_exact(&producer).await;
}

/// Killed at any time, with commits in between, beside a member that stays.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_killed_at_any_time_lose_and_double_nothing() {
    let scene = Scene::new(4).await;
    let mut producer = scene.producer();
    let stays = scene
        .counting()
        .property("session.timeout.ms", "3000")
        .property("heartbeat.interval.ms", "300")
        .build()
        .unwrap()
        .spawn();
    for round in 1..=4 {
        producer.send(500, 20, 7);
        let mut consumer = start(&scene, 20);
        scene.wait_for_acted(500 * round - 250).await;
        consumer.kill().await.unwrap();
    }
    scene.wait_for_acted(2_000).await;
    let report = stays.stop().await.unwrap().unwrap();
    assert_eq!(report.dead_lettered, 0, "{report:?}");
    scene.assert_exact(&producer).await;
}
