//! Relays that are killed with -9 at each of their steps, and at any moment, while writers write.

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

/// Each step at which a relay may die, several times.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_at_any_step_doubles_nothing() {
    let scene = Scene::new(2).await;
    let mut writing = Box::pin(
        scene
            .writers(6_000)
            .pause(Duration::from_millis(25))
            .start()
            .await
            .finish(),
    );
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
    let (mut died, mut ledger) = (0, None);
    for step in steps.iter().cycle().take(2 * steps.len()) {
        let ended = scene.address.relay_with(step).ended();
        tokio::pin!(ended);
        tokio::select! {
            ran = &mut ended => {
                assert_eq!(ran.code, None, "{step}: {ran:?}");
                died += 1;
            }
            written = &mut writing, if ledger.is_none() => {
                ledger = Some(written);
                break;
            }
        }
    }
    let ledger = match ledger {
        Some(ledger) => ledger,
        None => writing.await,
    };
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
    assert!(died >= steps.len(), "it died only {died} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_killed_at_any_moment_double_nothing() {
    let scene = Scene::new(2).await;
    let mut writing = Box::pin(
        scene
            .writers(4_000)
            .pause(Duration::from_millis(20))
            .start()
            .await
            .finish(),
    );
    let mut kills = 0;
    let ledger = loop {
        // Two at once: the standby takes over.
        let (active, standby) = (scene.address.relay(), scene.address.relay());
        let moment = Duration::from_millis(rand::rng().random_range(300..4_000));
        let ledger = tokio::select! {
            ledger = &mut writing => Some(ledger),
            () = tokio::time::sleep(moment) => None,
        };
        active.kill().await;
        kills += 1;
        if let Some(ledger) = ledger {
            standby.stop().await.done();
            break ledger;
        }
        standby.kill().await;
        kills += 1;
    };
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
    assert!(kills >= 5, "only {kills} kills");
}
