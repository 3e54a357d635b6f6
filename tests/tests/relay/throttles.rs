//! Operators limit how much is sent in a second.

use std::time::Instant;

use outbox_runtime::store::{Rate, ThrottleScope};
use outbox_tests::wait_until;

use crate::log::{LIMIT, Scene};
use crate::operations::{
    Committed, IN_DEAD_LETTERS, arrived, because, commit, controls, start, until_arrived, until_count,
};

fn messages_per_second(messages: u64) -> Rate {
    Rate {
        messages_per_second: Some(messages),
        bytes_per_second: None,
    }
}

#[tokio::test]
async fn a_throttled_log_sends_no_more_than_that() {
    let scene = Scene::new().await;
    let controls = controls(&scene);
    let (log, ten) = (ThrottleScope::Log, messages_per_second(10));
    assert!(
        controls
            .throttle(&log, ten, &because("a slow consumer"))
            .await
            .unwrap()
    );
    assert!(!controls.throttle(&log, ten, &because("again")).await.unwrap());
    let mut ids = scene.commit(15).await;
    let begun = Instant::now();
    let relay = start(&scene, &[]);
    scene.until_log_has(15).await;
    let took = begun.elapsed().as_secs_f64();
    assert!(took > 1.2, "15 messages at 10 a second took {took} s");
    // A running relay follows when it is taken back.
    let off = Rate::default();
    ids.extend(scene.commit(2_000).await);
    assert!(controls.throttle(&log, off, &because("done")).await.unwrap());
    scene.until_log_has(2_015).await;
    assert!(begun.elapsed().as_secs_f64() < 100.0, "it is still throttled");
    assert_eq!(scene.broker.ids(), ids);
    let audit = controls.audit(10).await.unwrap();
    let audit: Vec<_> = audit
        .iter()
        .map(|entry| (entry.before.as_deref(), entry.after.as_deref()))
        .collect();
    assert_eq!(
        audit,
        [(Some("10 messages/s"), None), (None, Some("10 messages/s"))]
    );
    relay.stop().await.unwrap();
}

/// In a topic whose keys wait for themselves, and in one whose keys do not.
#[tokio::test]
async fn a_throttled_topic_keeps_its_order_and_others_go_on() {
    for block in [&[][..], &["orders"]] {
        let scene = Scene::new().await;
        let controls = controls(&scene);
        let orders = ThrottleScope::Topic("orders".to_owned());
        controls
            .throttle(&orders, messages_per_second(5), &because("a slow consumer"))
            .await
            .unwrap();
        let (slow, quick) = (Committed::default(), Committed::default());
        let relay = start(&scene, block);
        commit(&scene, "orders", &["ana", "bob"].repeat(30), &slow).await;
        commit(&scene, "others", &["cid"].repeat(300), &quick).await;
        until_arrived(&scene, "cid", &quick.of("cid")).await;
        let arrived_so_far = arrived(&scene, "ana").len() + arrived(&scene, "bob").len();
        assert!(arrived_so_far < 60, "it is not throttled");
        wait_until("the throttled topic to go on", LIMIT, async || {
            (arrived(&scene, "ana").len() > 3).then_some(())
        })
        .await;
        controls
            .throttle(&orders, Rate::default(), &because("done"))
            .await
            .unwrap();
        commit(&scene, "orders", &["ana", "bob"], &slow).await;
        for key in ["ana", "bob"] {
            until_arrived(&scene, key, &slow.of(key)).await;
        }
        until_count(&scene, IN_DEAD_LETTERS, 0).await;
        relay.stop().await.unwrap();
    }
}
