//! Rewinds while messages are parked: they keep the order of their keys, and none is left out.

use std::cell::RefCell;
use std::time::Duration;

use outbox_runtime::store::{PauseScope, RewindError, RewindTo};
use outbox_tests::wait_until;
use uuid::Uuid;

use crate::log::{LIMIT, Scene};
use crate::operations::{because, controls, start};

const PARKED: &str = "count(*) FROM outbox_dead_letters WHERE state = 'parked'";

/// Messages that waited for their topic were parked before the rewind. They come behind the older ones that are parked now.
#[tokio::test]
async fn what_was_parked_at_a_rewind_comes_behind_what_is_sent_again() {
    let scene = Scene::new().await;
    let (controls, orders) = (controls(&scene), PauseScope::Topic("orders".to_owned()));
    let relay = start(&scene, &[]);
    let ids = RefCell::new(scene.commit(5).await);
    wait_until("the first to arrive", LIMIT, async || {
        (scene.broker.ids().len() == 5).then_some(())
    })
    .await;
    controls.pause(&orders, &because("a look")).await.unwrap();
    wait_until("the topic to be paused", LIMIT, async || {
        let new = scene.commit(1).await;
        ids.borrow_mut().extend(new);
        (scene.count(PARKED).await > 0).then_some(())
    })
    .await;
    let ids = ids.into_inner();
    let delivered = scene.broker.ids().len();
    controls
        .rewind(RewindTo::Seq(1), &because("a consumer lost them"))
        .await
        .unwrap();
    wait_until("all to be parked", LIMIT, async || {
        (scene.count(PARKED).await == ids.len() as i64).then_some(())
    })
    .await;
    controls.resume(&orders, &because("done")).await.unwrap();
    wait_until("all to come again", LIMIT, async || {
        (scene.broker.ids().len() == delivered + ids.len()).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    assert_eq!(scene.broker.ids()[delivered..], ids);
}

/// A message that went out of the dead letters around a rewind is parked again by it. Its earlier record must not take the
/// new copy away.
#[tokio::test]
async fn what_left_the_dead_letters_at_a_rewind_comes_again() {
    let scene = Scene::new().await;
    let (controls, orders) = (controls(&scene), PauseScope::Topic("orders".to_owned()));
    controls.pause(&orders, &because("a look")).await.unwrap();
    let relay = start(&scene, &[]);
    let ids = scene.commit(5).await;
    let all_are_parked = async || (scene.count(PARKED).await == 5).then_some(());
    wait_until("all to be parked", LIMIT, all_are_parked).await;
    scene.broker.hold_topic("orders");
    controls.resume(&orders, &because("done")).await.unwrap();
    wait_until("the first to be on its way", LIMIT, async || {
        (scene.broker.waiting() > 0).then_some(())
    })
    .await;
    controls.pause(&orders, &because("another look")).await.unwrap();
    controls
        .rewind(RewindTo::Seq(1), &because("a consumer lost them"))
        .await
        .unwrap();
    wait_until("all to be parked again", LIMIT, all_are_parked).await;
    scene.broker.release();
    wait_until("the first to arrive", LIMIT, async || {
        (!scene.broker.ids().is_empty()).then_some(())
    })
    .await;
    let delivered = scene.broker.ids().len();
    controls.resume(&orders, &because("done")).await.unwrap();
    wait_until("all to come again", LIMIT, async || {
        (scene.broker.ids().len() == delivered + ids.len()).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    assert_eq!(scene.broker.ids()[delivered..], ids);
}

/// A rewind takes parked messages out of the dead letters. Whoever finds nothing there must not take the topic for one that
/// nothing waits for: newer messages would be sent first.
#[tokio::test]
async fn what_a_rewind_takes_out_of_the_dead_letters_is_not_overtaken() {
    let scene = Scene::new().await;
    let (controls, orders) = (controls(&scene), PauseScope::Topic("orders".to_owned()));
    let relay = start(&scene, &[]);
    let mut ids = Vec::new();
    // How soon the relay notices a rewind depends on when it looks.
    for _ in 0..5 {
        controls.pause(&orders, &because("a look")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        ids.extend(scene.commit(5).await);
        let from = RewindTo::Seq(ids.len() as i64 - 4);
        wait_until("all to be parked", LIMIT, async || {
            (scene.count(PARKED).await == 5).then_some(())
        })
        .await;
        scene.broker.lose_topic("orders");
        controls.resume(&orders, &because("done")).await.unwrap();
        // It asks again and again whether the topic accepts records.
        tokio::time::sleep(Duration::from_secs(1)).await;
        controls.rewind(from, &because("lost")).await.unwrap();
        scene.broker.mend_topic("orders");
        tokio::time::sleep(Duration::from_millis(150)).await;
        ids.extend(scene.commit(5).await);
        wait_until("all to arrive", LIMIT, async || {
            let arrived = scene.broker.ids();
            ids.iter().all(|id| arrived.contains(id)).then_some(())
        })
        .await;
    }
    relay.stop().await.unwrap();
    let arrived = scene.broker.ids();
    let first = |id: &Uuid| arrived.iter().position(|there| there == id);
    let order: Vec<_> = ids.iter().map(first).collect();
    assert!(order.is_sorted(), "{order:?}");
}

/// A pruner deletes parked messages from the log, and not always the oldest ones first. Those that are left keep their places
/// in the dead letters then.
#[tokio::test]
async fn a_rewind_stays_behind_parked_messages_that_were_deleted_from_the_log() {
    let scene = Scene::new().await;
    let (controls, orders) = (controls(&scene), PauseScope::Topic("orders".to_owned()));
    controls.pause(&orders, &because("a look")).await.unwrap();
    let relay = start(&scene, &[]);
    let ids = scene.commit(6).await;
    wait_until("all to be parked", LIMIT, async || {
        (scene.count(PARKED).await == 6 && scene.count("high FROM outbox_cursor").await == 6).then_some(())
    })
    .await;
    sqlx::query("DELETE FROM outbox_messages WHERE seq IN (2, 4)")
        .execute(&scene.database.pool)
        .await
        .unwrap();
    let refused = controls
        .rewind(RewindTo::Seq(1), &because("lost"))
        .await
        .unwrap_err();
    let RewindError::TooFar {
        oldest: Some((oldest, _)),
    } = refused
    else {
        panic!("{refused}")
    };
    assert_eq!(oldest, 5);
    controls.rewind(RewindTo::Seq(5), &because("lost")).await.unwrap();
    assert_eq!(scene.count(PARKED).await, 4);
    controls.resume(&orders, &because("done")).await.unwrap();
    wait_until("all to arrive", LIMIT, async || {
        (scene.broker.ids().len() == 6).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
}
