//! One table.

use std::time::Duration;

use outbox_runtime::PostgresStore;
use outbox_runtime::retention::{Keep, Pruned, Retention};
use outbox_runtime::store::{Piece, Store};
use outbox_tests::servers::PostgresVersion;
use outbox_tests::wait_until;
use tokio_util::sync::CancellationToken;

use crate::scene::{LIMIT, Scene, all, insert};

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_late_and_prepared_transactions_stay_until_they_are_delivered() {
    for version in PostgresVersion::ALL {
        let scene = Scene::at(version).await;
        insert(scene.pool(), 10).await;
        assert_eq!(scene.prune().await, Pruned::default(), "no relay ever ran");
        scene.deliver().await;

        // GIVEN transactions that took their numbers, and others that were delivered meanwhile
        let mut late = scene.pool().begin().await.unwrap();
        insert(&mut *late, 3).await;
        let mut prepared = scene.pool().begin().await.unwrap();
        insert(&mut *prepared, 2).await;
        sqlx::query("PREPARE TRANSACTION 'retention'")
            .execute(&mut *prepared)
            .await
            .unwrap();
        drop(prepared);
        let mut rolled_back = scene.pool().begin().await.unwrap();
        insert(&mut *rolled_back, 1).await;
        insert(scene.pool(), 10).await;
        scene.deliver().await;

        // THEN what was delivered goes, around them
        assert_eq!(scene.prune().await.messages, 20);
        rolled_back.rollback().await.unwrap();
        late.commit().await.unwrap();
        scene.run("COMMIT PREPARED 'retention'").await;
        assert_eq!(scene.prune().await.messages, 0, "not delivered yet");
        assert_eq!(scene.messages().await, 5);
        assert_eq!(scene.deliver().await, 5);
        assert_eq!((scene.prune().await.messages, scene.messages().await), (5, 0));
        assert_eq!(scene.broker.ids().len(), 25);
    }
}

/// The very same by a pruner that goes on from where it was: it comes back for what it has passed.
#[tokio::test(flavor = "multi_thread")]
async fn a_pruner_that_goes_on_has_its_low_mark_and_passes_what_is_late() {
    let scene = Scene::new().await;
    let mut late = scene.pool().begin().await.unwrap();
    insert(&mut *late, 3).await;
    insert(scene.pool(), 50).await;
    scene.deliver().await;
    let shutdown = CancellationToken::new();
    let retention = all().interval(Duration::from_millis(5));
    let pruner = scene.pruner(retention);
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { pruner.run(shutdown).await }
    });
    wait_until("the messages to go", LIMIT, async || {
        (scene.messages().await == 0).then_some(())
    })
    .await;
    late.commit().await.unwrap();
    insert(scene.pool(), 50).await;
    scene.deliver().await;
    wait_until("all but the late ones to go", LIMIT, async || {
        (scene.messages().await == 3).then_some(())
    })
    .await;
    shutdown.cancel();
    assert_eq!(running.await.unwrap().messages, 100);
    // One that begins anew finds them.
    assert_eq!(scene.prune().await.messages, 3);
}

#[tokio::test]
async fn the_age_is_that_of_the_record_and_young_messages_stay() {
    let scene = Scene::new().await;
    insert(scene.pool(), 30).await;
    scene
        .run(
            "UPDATE outbox_messages SET occurred_at = now() - interval '8 days' WHERE seq <= 10;
              UPDATE outbox_messages SET occurred_at = now() - interval '6 days' WHERE seq BETWEEN 11 AND 20;
              UPDATE outbox_messages SET occurred_at = now() + interval '1 hour' WHERE seq = 5",
        )
        .await;
    let week = Retention::off().keep(Keep::For(Duration::from_secs(7 * 86_400)));
    let pruner = scene.pruner(week.batch(4));
    assert_eq!(
        pruner.run_once().await.unwrap().messages,
        0,
        "they are old, and not delivered"
    );
    scene.deliver().await;
    assert_eq!(pruner.dry_run().await.unwrap().messages, 9);
    assert_eq!(scene.messages().await, 30, "a dry run deletes nothing");
    assert_eq!(pruner.run_once().await.unwrap().messages, 9);
    assert_eq!(pruner.run_once().await.unwrap().messages, 0);
    assert_eq!(
        scene
            .number("count(*) FROM outbox_messages WHERE seq = 5 OR seq > 10")
            .await,
        21
    );
}

#[tokio::test]
async fn the_oldest_go_until_the_log_is_small_enough() {
    let scene = Scene::new().await;
    insert(scene.pool(), 1_000).await;
    scene.deliver().await;
    let mut pruning = scene.store().open_pruning().await.unwrap();
    let weighed = pruning.weigh(0, 10_000).await.unwrap();
    let half = Retention::off().max_bytes(Some(weighed.bytes / 2)).batch(10);
    let would = scene.pruner(half.clone()).dry_run().await.unwrap();
    assert_eq!(scene.messages().await, 1_000);
    let pruned = scene.pruner(half.clone()).run_once().await.unwrap();
    assert_eq!(pruned, would);
    let (left, first) = (
        scene.messages().await,
        scene.number("min(seq) FROM outbox_messages").await,
    );
    assert!((490..=510).contains(&left), "{left} are left");
    assert_eq!(first, 1_001 - left, "the oldest went");
    assert_eq!(scene.pruner(half).run_once().await.unwrap().messages, 0);

    // What is not delivered stays, however large the log is.
    insert(scene.pool(), 1_000).await;
    let tiny = Retention::off().max_bytes(Some(1));
    assert_eq!(scene.pruner(tiny).run_once().await.unwrap().messages, left as u64);
    assert_eq!(scene.messages().await, 1_000);
}

/// The relay's guard against deleting by hand is the second look. Here it is the only one.
#[tokio::test]
async fn one_piece_says_what_was_looked_at_and_what_went() {
    let scene = Scene::new().await;
    insert(scene.pool(), 10).await;
    scene.deliver().await;
    insert(scene.pool(), 10).await;
    let mut pruning = PostgresStore::new(scene.pool()).open_pruning().await.unwrap();
    let piece = Piece {
        after: 4,
        rows: 100,
        older_than: None,
        weighed: true,
        dry_run: true,
    };
    let would = pruning.prune(piece).await.unwrap();
    assert_eq!(
        (would.last_looked_at, would.last_deleted, would.deleted),
        (Some(10), Some(10), 6)
    );
    let pruned = pruning
        .prune(Piece {
            dry_run: false,
            ..piece
        })
        .await
        .unwrap();
    assert_eq!(pruned, would);
    assert!(pruned.bytes > 6 * 150, "{pruned:?}");
    let rest = pruning
        .prune(Piece {
            dry_run: false,
            ..piece
        })
        .await
        .unwrap();
    assert_eq!((rest.last_looked_at, rest.deleted), (None, 0));
    assert_eq!(scene.messages().await, 14);
}
