//! Relays that are killed with -9 at each of their steps, and at any time, while writers write.

use std::time::Duration;

use rand::Rng;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_once_without_faults() {
    let scene = Scene::new(3).await;
    let ledger = scene.writers(400).start().await.finish().await;
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
    assert_eq!(
        scene
            .number("count(*) FROM outbox_cursor WHERE generation > 0")
            .await,
        1
    );
    let again = scene.address.drain("exactly-once").await.done();
    assert_eq!(again, "delivered 0 messages\n");
}

/// Each step at which a relay may die.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_at_any_step_doubles_nothing() {
    let scene = Scene::new(2).await;
    let writers = scene
        .writers(u64::MAX)
        .pause(Duration::from_millis(50))
        .start()
        .await;
    let steps = [
        "lease_taken=kill:1",
        "cursor_claimed=kill:1",
        "broker_cursor_read=kill:1",
        "window_begun=kill:1",
        "window_begun=kill:3",
        "produced=kill:40",
        "transaction_sent=kill:1",
        "transaction_sent=kill:4",
        "transaction_committed=kill:1",
        "transaction_committed=kill:2",
        "transaction_committed=kill:5",
        "cursor_before=kill:1",
        "cursor_after=kill:1",
    ];
    for step in steps {
        let ran = scene.address.relay_with(step).ended().await;
        assert_eq!(ran.code, None, "{step}: {ran:?}");
    }
    let ledger = writers.stop().await;
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_killed_at_any_time_double_nothing() {
    let scene = Scene::new(2).await;
    let writers = scene
        .writers(u64::MAX)
        .pause(Duration::from_millis(40))
        .start()
        .await;
    let (mut rounds, mut seen) = (0, 0);
    while rounds < 4 || seen == 0 {
        // Two at once: the standby takes over.
        let (active, standby) = (scene.address.relay(), scene.address.relay());
        for relay in [active, standby] {
            let millis = rand::rng().random_range(300..4_000);
            tokio::time::sleep(Duration::from_millis(millis)).await;
            relay.kill().await;
        }
        (rounds, seen) = (rounds + 1, scene.seen().await.len());
    }
    let ledger = writers.stop().await;
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
}
