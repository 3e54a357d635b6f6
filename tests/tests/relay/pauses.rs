//! What an operator pauses waits, in order, and goes out when it is resumed.

use std::cell::RefCell;

use outbox_runtime::store::{Controls, Decision, PauseScope};
use outbox_runtime::{RelayWaker, RunningRelay, Tables};
use outbox_tests::wait_until;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::log::{LIMIT, Scene, quick};

const PARKED: &str = "count(*) FROM outbox_dead_letters WHERE state = 'parked' AND reason = 'topic_paused'";
const IN_DEAD_LETTERS: &str = "count(*) FROM outbox_dead_letters";

fn controls(scene: &Scene) -> Controls {
    Controls::in_sqlite(&scene.database.pool, &Tables::default())
}

fn start(scene: &Scene, block: &[&str]) -> RunningRelay {
    let config = quick()
        .block(block.iter().map(|topic| (*topic).to_owned()).collect())
        .shutdown_timeout(LIMIT)
        .page_rows(20);
    scene.relay_with(config, RelayWaker::new()).spawn()
}

fn orders() -> PauseScope {
    PauseScope::Topic("orders".to_owned())
}

fn because(reason: &str) -> Decision {
    Decision::new("ana", reason)
}

fn copy(ids: &RefCell<Vec<Uuid>>) -> Vec<Uuid> {
    ids.borrow().clone()
}

async fn until_count(scene: &Scene, of: &str, count: i64) {
    wait_until(&format!("{count} to be the {of}"), LIMIT, async || {
        (scene.count(of).await == count).then_some(())
    })
    .await;
}

async fn until_topic_has(scene: &Scene, topic: &str, ids: &[Uuid]) {
    let of_topic = || -> Vec<Uuid> {
        let log = scene.broker.log().into_iter();
        log.filter(|record| record.topic == topic)
            .map(|record| record.id)
            .collect()
    };
    wait_until(&format!("{topic} to have all"), LIMIT, async || {
        (of_topic().len() >= ids.len()).then_some(())
    })
    .await;
    assert_eq!(of_topic(), ids, "{topic}");
}

/// With a topic whose keys wait for themselves, and with one whose records all wait.
#[tokio::test]
async fn a_paused_topic_waits_in_order_and_others_go_on() {
    for block in [&[][..], &["orders"]] {
        // GIVEN a topic that was paused before its relay began
        let scene = Scene::new().await;
        assert!(
            controls(&scene)
                .pause(&orders(), &because("a new consumer"))
                .await
                .unwrap()
        );
        assert!(
            !controls(&scene)
                .pause(&orders(), &because("again"))
                .await
                .unwrap()
        );
        let relay = start(&scene, block);
        let of_orders = RefCell::new(scene.commit_to("orders", 50).await);
        let of_others = RefCell::new(scene.commit_to("others", 50).await);
        // THEN its records wait in the dead letters, and the others do not
        until_count(&scene, PARKED, 50).await;
        until_topic_has(&scene, "others", &copy(&of_others)).await;
        until_topic_has(&scene, "orders", &[]).await;

        // WHEN it is resumed while more is written, and the relay begins again
        assert!(
            controls(&scene)
                .resume(&orders(), &because("done"))
                .await
                .unwrap()
        );
        let more = scene.commit_to("orders", 50).await;
        of_orders.borrow_mut().extend(more);
        until_topic_has(&scene, "orders", &copy(&of_orders)).await;
        until_count(&scene, IN_DEAD_LETTERS, 0).await;

        // AND paused and resumed in the middle of the traffic
        for _ in 0..3 {
            controls(&scene)
                .pause(&orders(), &because("once more"))
                .await
                .unwrap();
            wait_until("the relay to follow", LIMIT, async || {
                let more = scene.commit_to("orders", 1).await;
                of_orders.borrow_mut().extend(more);
                let more = scene.commit_to("others", 1).await;
                of_others.borrow_mut().extend(more);
                (scene.count(PARKED).await > 0).then_some(())
            })
            .await;
            controls(&scene)
                .resume(&orders(), &because("once more"))
                .await
                .unwrap();
            let more = scene.commit_to("orders", 5).await;
            of_orders.borrow_mut().extend(more);
            until_topic_has(&scene, "orders", &copy(&of_orders)).await;
        }
        until_topic_has(&scene, "others", &copy(&of_others)).await;
        until_count(&scene, IN_DEAD_LETTERS, 0).await;
        relay.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_paused_log_sends_nothing_until_it_is_resumed() {
    let scene = Scene::new().await;
    let relay = start(&scene, &[]);
    let mut ids = scene.commit(20).await;
    scene.until_log_has(20).await;
    controls(&scene)
        .pause(&PauseScope::Log, &because("maintenance"))
        .await
        .unwrap();
    wait_until("the relay to follow", LIMIT, async || {
        relay.progress().is_paused().then_some(())
    })
    .await;
    // What was delivered is written down before it waits.
    assert_eq!(scene.count("high FROM outbox_cursor").await, 20);
    ids.extend(scene.commit(20).await);
    assert!(relay.progress().is_paused());
    assert_eq!(scene.broker.ids().len(), 20);
    controls(&scene)
        .resume(&PauseScope::Log, &because("done"))
        .await
        .unwrap();
    scene.until_log_has(40).await;
    assert_eq!(scene.broker.ids(), ids);
    assert!(!relay.progress().is_paused());
    // A stop does not wait for somebody to resume it.
    controls(&scene)
        .pause(&PauseScope::Log, &because("again"))
        .await
        .unwrap();
    wait_until("the relay to follow", LIMIT, async || {
        relay.progress().is_paused().then_some(())
    })
    .await;
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn a_relay_that_only_empties_the_log_ends_beside_a_paused_topic() {
    let scene = Scene::new().await;
    controls(&scene)
        .pause(&orders(), &because("a new consumer"))
        .await
        .unwrap();
    scene.commit_to("orders", 30).await;
    let others = scene.commit_to("others", 30).await;
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), others);
    assert_eq!(scene.count(PARKED).await, 30);
}

#[tokio::test]
async fn who_did_what_and_why_is_kept() {
    let scene = Scene::new().await;
    let controls = controls(&scene);
    controls
        .pause(&orders(), &because("a new consumer"))
        .await
        .unwrap();
    let paused = controls.pauses().await.unwrap();
    assert_eq!((&paused[0].scope, paused[0].by.as_str()), (&orders(), "ana"));
    controls.resume(&orders(), &because("done")).await.unwrap();
    assert!(!controls.resume(&orders(), &because("again")).await.unwrap());
    let audit = controls.audit(10).await.unwrap();
    let audit: Vec<_> = audit
        .iter()
        .map(|entry| {
            (
                entry.action.as_str(),
                entry.name.as_str(),
                entry.by.as_str(),
                entry.reason.as_str(),
            )
        })
        .collect();
    assert_eq!(
        audit,
        [
            ("resume", "orders", "ana", "done"),
            ("pause", "orders", "ana", "a new consumer")
        ]
    );
}
