//! A cursor that goes back, and cursors that say nothing here.

use outbox_runtime::retention::Pruned;
use outbox_runtime::store::{Adopt, Fork, StoreErrorKind, WithoutCursor};
use outbox_tests::wait_until;

use crate::scene::{LIMIT, Scene, all, insert};

/// Waits until a session waits for a lock on a row or table.
async fn until_somebody_waits(scene: &Scene) {
    let waiting =
        "count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_until("a session to wait for a lock", LIMIT, async || {
        (scene.number(waiting).await > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruner_waits_for_whoever_moves_the_cursor_back_and_goes_by_what_they_wrote() {
    let scene = Scene::new().await;
    insert(scene.pool(), 10).await;
    scene.deliver().await;
    let before: String = sqlx::query_scalar("SELECT from_snapshot::text FROM outbox_cursor")
        .fetch_one(scene.pool())
        .await
        .unwrap();
    insert(scene.pool(), 10).await;
    scene.deliver().await;

    // GIVEN somebody who has the cursor and puts it back, as `adopt` does
    let mut operator = scene.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM outbox_cursor FOR UPDATE")
        .execute(&mut *operator)
        .await
        .unwrap();
    let pruner = scene.pruner(all());
    let pruning = tokio::spawn(async move { pruner.run_once().await });
    until_somebody_waits(&scene).await;
    sqlx::query("UPDATE outbox_cursor SET from_snapshot = $1::pg_snapshot, high = 10, to_snapshot = NULL")
        .bind(before)
        .execute(&mut *operator)
        .await
        .unwrap();
    operator.commit().await.unwrap();

    // THEN what is to be sent again is there
    assert_eq!(pruning.await.unwrap().unwrap().messages, 10);
    assert_eq!(scene.number("min(seq) FROM outbox_messages").await, 11);
    assert_eq!(scene.deliver().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_moves_the_cursor_back_waits_for_a_pruner_and_the_relay_does_not() {
    let scene = Scene::new().await;
    insert(scene.pool(), 10).await;
    scene.deliver().await;
    // GIVEN the lock that a pruner has
    let mut pruner = scene.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM outbox_cursor FOR KEY SHARE")
        .execute(&mut *pruner)
        .await
        .unwrap();
    // THEN a relay claims the cursor, delivers and writes it
    insert(scene.pool(), 10).await;
    assert_eq!(scene.deliver().await, 10);
    assert_eq!(scene.number("high FROM outbox_cursor").await, 20);
    // AND an adoption waits
    let store = scene.store();
    let adopt = Adopt {
        without_cursor: Some(WithoutCursor::SendAll),
        ..Adopt::default()
    };
    let adopting = tokio::spawn(async move { store.adopt(adopt).await });
    until_somebody_waits(&scene).await;
    assert_eq!(scene.number("high FROM outbox_cursor").await, 20);
    pruner.rollback().await.unwrap();
    assert_eq!(adopting.await.unwrap().unwrap().to_send, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_adoptions_and_forks_each_message_that_is_to_be_sent_is_there() {
    let scene = Scene::new().await;
    for round in 0..12 {
        insert(scene.pool(), 300).await;
        scene.deliver().await;
        insert(scene.pool(), 5).await;
        let pruner = scene.pruner(all().batch(20));
        let pruning = tokio::spawn(async move { pruner.run_once().await });
        let adopts = round % 3 < 2;
        let relocated = match adopts {
            true => {
                let without_cursor = Some(WithoutCursor::SendAll);
                let adopt = Adopt {
                    without_cursor,
                    ..Adopt::default()
                };
                scene.store().adopt(adopt).await.unwrap()
            }
            false => {
                let fork = Fork {
                    physical_copy: true,
                    ..Fork::default()
                };
                scene.store().fork(fork).await.unwrap()
            }
        };
        // It may have found a lock, and says so; nothing is half done then.
        let _ = pruning.await.unwrap();
        // Whatever ran first: what the new cursor does not call delivered is all there.
        let there = scene.messages().await;
        if adopts {
            assert_eq!(scene.prune().await, Pruned::default());
            assert_eq!(scene.messages().await, there);
            assert_eq!(relocated.to_send, there as u64);
            assert_eq!(scene.deliver().await, there as u64);
        } else {
            assert_eq!(scene.deliver().await, 0, "the original delivers them");
        }
        scene.prune().await;
        assert_eq!(scene.messages().await, 0);
    }
}

#[tokio::test]
async fn a_cursor_of_another_place_settles_nothing() {
    let scene = Scene::new().await;
    insert(scene.pool(), 10).await;
    scene.deliver().await;
    for (elsewhere, back) in [
        (
            "system_identifier = '1'",
            "system_identifier = (SELECT system_identifier::text FROM pg_control_system())",
        ),
        ("table_oid = 1", "table_oid = 'outbox_cursor'::regclass"),
        (
            "database_oid = 1",
            "database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        ),
    ] {
        scene.run(&format!("UPDATE outbox_cursor SET {elsewhere}")).await;
        for ended in [
            scene.pruner(all()).run_once().await,
            scene.pruner(all()).dry_run().await,
        ] {
            assert_eq!(
                ended.unwrap_err().kind(),
                StoreErrorKind::ForeignCluster,
                "{elsewhere}"
            );
        }
        assert_eq!(scene.messages().await, 10);
        scene.run(&format!("UPDATE outbox_cursor SET {back}")).await;
    }
    // A message of a transaction that has not happened here.
    scene
        .run("UPDATE outbox_messages SET xid = '99999999999' WHERE seq = 3")
        .await;
    let ended = scene.pruner(all()).run_once().await;
    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::ForeignCluster);
    assert_eq!(scene.messages().await, 10);
    scene
        .run("UPDATE outbox_messages SET xid = '3' WHERE seq = 3; DELETE FROM outbox_cursor")
        .await;
    let ended = scene.pruner(all()).run_once().await;
    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Schema);
    assert_eq!(scene.messages().await, 10);
}
