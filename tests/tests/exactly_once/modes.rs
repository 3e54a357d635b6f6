//! Changes of the mode of delivery, in both directions, with relays that are killed between.

use std::time::Duration;

use outbox_tests::program::Running;
use outbox_tests::wait_until;

use crate::scene::{LIMIT, Scene, numbers, until_seen};

const GENERATION: &str = "generation FROM outbox_cursor WHERE generation IS NOT NULL UNION ALL SELECT 0";

async fn delivery(scene: &Scene) -> String {
    let status = scene.address.run("status --json").await.done();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["delivery"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_which_mode_is_active() {
    let scene = Scene::new(1).await;
    assert_eq!(delivery(&scene).await, "at_least_once");
    let mut relay = scene.address.relay();
    relay.says("delivering exactly once").await;
    assert_eq!(delivery(&scene).await, "exactly_once", "before the first message");
    relay.stop().await.done();
    assert_eq!(delivery(&scene).await, "exactly_once");
    scene.address.drain("at-least-once").await.done();
    assert_eq!(delivery(&scene).await, "at_least_once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_may_be_changed_and_changed_back() {
    let scene = Scene::new(1).await;
    let topic = scene.topics[0].clone();
    let mut expected = 0;
    let mut generations = Vec::new();
    for round in 0..6 {
        let mode = ["at-least-once", "exactly-once"][round % 2];
        scene.insert(&topic, expected..expected + 20).await;
        expected += 20;
        assert_eq!(
            scene.address.drain(mode).await.done(),
            "delivered 20 messages\n",
            "{mode}"
        );
        generations.push(scene.number(GENERATION).await);
    }
    assert_eq!(numbers(&topic).await, (0..expected).collect::<Vec<_>>());
    let once: Vec<i64> = generations.iter().copied().filter(|number| *number > 0).collect();
    assert!(once.len() == 3 && once.is_sorted(), "{generations:?}");
}

/// The relay that delivered exactly once is dead, and the row in the database does not know how far it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_exactly_once_is_not_repeated_by_the_other_mode() {
    let scene = Scene::new(1).await;
    let topic = scene.topics[0].clone();
    for (round, step) in [
        "transaction_committed=kill:2",
        "transaction_committed=kill:3",
        "window_begun=kill:1",
    ]
    .into_iter()
    .enumerate()
    {
        let first = round as u32 * 12_000;
        scene.insert(&topic, first..first + 12_000).await;
        let died = scene.address.relay_with(step).ended().await;
        assert_eq!(died.code, None, "{died:?}");
        // The one that goes back dies too, right after it has written that down.
        let mut command = scene.address.command("at-least-once");
        command.env("OUTBOX_FAILPOINT", "cursor_after=kill:1");
        let died = Running::start(command).ended().await;
        assert_eq!(died.code, None, "{died:?}");
        assert_eq!(scene.number(GENERATION).await, 0);
        scene.address.drain("at-least-once").await.done();
        assert_eq!(numbers(&topic).await, (0..first + 12_000).collect::<Vec<_>>());
    }
}

/// Back and forth while writers write. Relays are stopped, not killed: an at-least-once relay that dies may double.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_writers_write_and_modes_change() {
    let scene = Scene::new(2).await;
    let writers = scene
        .writers(u64::MAX)
        .pause(Duration::from_millis(40))
        .start()
        .await;
    for mode in ["exactly-once", "at-least-once"].repeat(2) {
        let mut relay = Running::start(scene.address.command(mode));
        relay.says("this relay is the active one").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // The one that delivers exactly once may die.
        match mode {
            "exactly-once" => relay.kill().await,
            _ => drop(relay.stop().await.done()),
        }
    }
    let ledger = writers.stop().await;
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
}

/// A relay of each mode at once: one is active, whatever the mode of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_of_the_other_mode_takes_over() {
    let scene = Scene::new(1).await;
    let topic = scene.topics[0].clone();
    let mut once = scene.address.relay();
    once.says("delivering exactly once").await;
    let mut other = Running::start(scene.address.command("at-least-once"));
    other.says("standing by").await;
    scene.insert(&topic, 0..100).await;
    until_seen(&topic, 100).await;
    once.kill().await;
    other.says("the delivery mode was exactly once").await;
    scene.insert(&topic, 100..200).await;
    until_seen(&topic, 200).await;
    other.stop().await.done();
    assert_eq!(numbers(&topic).await, (0..200).collect::<Vec<_>>());
    wait_until("the lease to be free", LIMIT, async || {
        (scene
            .number("count(*) FROM outbox_lease WHERE token IS NULL")
            .await
            == 1)
            .then_some(())
    })
    .await;
}
