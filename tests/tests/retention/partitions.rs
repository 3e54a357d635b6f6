//! Partitions of 100 rows, emptied and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use outbox_runtime::retention::{Keep, Pruned, Retention};
use outbox_runtime::store::Store;
use outbox_tests::servers::PostgresVersion;
use outbox_tests::wait_until;

use crate::scene::{LIMIT, Scene, all, insert};

/// How many of the first four are there. Later ones are made while a relay works.
async fn partitions(scene: &Scene) -> i64 {
    scene
        .number(
            "count(*) FROM pg_inherits WHERE inhparent = 'outbox_messages'::regclass
                 AND inhrelid::regclass::text ~ '_p(0|100|200|300)$'",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn full_partitions_go_once_all_of_their_messages_are_delivered() {
    for version in PostgresVersion::ALL {
        let scene = Scene::partitioned_at(version).await;
        insert(scene.pool(), 350).await;
        assert_eq!(scene.prune().await, Pruned::default(), "not delivered");
        scene.deliver().await;
        let dry = scene.pruner(all()).dry_run().await.unwrap();
        assert_eq!(
            (dry.messages, dry.partitions_emptied, dry.partitions_dropped),
            (299, 3, 3)
        );
        assert_eq!((scene.messages().await, partitions(&scene).await), (350, 4));
        assert_eq!(scene.prune().await, dry);
        assert_eq!((scene.messages().await, partitions(&scene).await), (51, 1));

        // What was dropped is not made again, and writers go on.
        scene.store().make_room().await.unwrap();
        assert_eq!(partitions(&scene).await, 1);
        insert(scene.pool(), 100).await;
        assert_eq!(scene.deliver().await, 100);
        assert_eq!(scene.prune().await.messages, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_message_keeps_its_partition_and_no_other() {
    let scene = Scene::partitioned_at(PostgresVersion::Distribution).await;
    let mut late = scene.pool().begin().await.unwrap();
    insert(&mut *late, 1).await;
    insert(scene.pool(), 350).await;
    scene.deliver().await;
    let busy = scene.prune().await;
    assert_eq!(
        (busy.messages, busy.partitions_busy > 0, scene.messages().await),
        (200, true, 150),
        "{busy:?}"
    );
    late.commit().await.unwrap();
    let kept = scene.prune().await;
    assert_eq!((kept.messages, kept.partitions_dropped), (0, 2), "{kept:?}");
    assert_eq!(scene.deliver().await, 1);
    assert_eq!(scene.prune().await.messages, 99);
    assert_eq!(scene.broker.ids().len(), 351);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_a_partition_is_not_waited_for() {
    let scene = Scene::partitioned_at(PostgresVersion::Distribution).await;
    insert(scene.pool(), 350).await;
    scene.deliver().await;
    let mut reader = scene.pool().begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM outbox_messages_p100")
        .execute(&mut *reader)
        .await
        .unwrap();
    let pruned = scene.prune().await;
    assert_eq!((pruned.messages, pruned.partitions_busy), (199, 1), "{pruned:?}");
    assert_eq!(scene.number("count(*) FROM outbox_messages_p100").await, 100);
    reader.rollback().await.unwrap();
    assert_eq!(scene.prune().await.messages, 100);

    // A writer that does not end keeps a partition from being dropped, and not from being emptied.
    insert(scene.pool(), 100).await;
    scene.deliver().await;
    let mut writer = scene.pool().begin().await.unwrap();
    insert(&mut *writer, 1).await;
    let pruned = scene.prune().await;
    assert_eq!(
        (
            pruned.partitions_emptied,
            pruned.partitions_dropped,
            pruned.partitions_busy
        ),
        (1, 0, 1),
        "{pruned:?}"
    );
    writer.commit().await.unwrap();
    assert_eq!(scene.prune().await.partitions_dropped, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn young_and_unfinished_partitions_and_the_default_one_stay() {
    let scene = Scene::partitioned_at(PostgresVersion::Distribution).await;
    scene
        .run("CREATE TABLE rest PARTITION OF outbox_messages DEFAULT; ALTER TABLE outbox_messages DETACH PARTITION outbox_messages_p200")
        .await;
    insert(scene.pool(), 350).await;
    assert_eq!(scene.number("count(*) FROM rest").await, 100);
    scene
        .run("UPDATE outbox_messages SET occurred_at = now() - interval '2 days' WHERE seq < 350 AND seq <> 150")
        .await;
    scene.deliver().await;
    let day = Retention::off().keep(Keep::For(Duration::from_secs(86_400)));
    let pruned = scene.pruner(day).run_once().await.unwrap();
    assert_eq!(
        (pruned.messages, pruned.partitions_emptied),
        (99, 1),
        "one has a young message: {pruned:?}"
    );
    assert_eq!(scene.prune().await.messages, 100);
    assert_eq!(
        (scene.number("count(*) FROM rest").await, scene.messages().await),
        (100, 151)
    );

    let large = Retention::off().max_bytes(Some(1 << 30));
    insert(scene.pool(), 100).await;
    scene.deliver().await;
    assert_eq!(scene.pruner(large).run_once().await.unwrap(), Pruned::default());
    let small = Retention::off().max_bytes(Some(1));
    assert_eq!(scene.pruner(small).run_once().await.unwrap().messages, 100);
}

/// Prints how long the slowest insert took.
#[tokio::test(flavor = "multi_thread")]
async fn inserts_go_on_while_partitions_are_dropped() {
    let scene = Arc::new(Scene::partitioned_at(PostgresVersion::Distribution).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4).map(|_| {
        let (scene, stop) = (Arc::clone(&scene), Arc::clone(&stop));
        tokio::spawn(async move {
            let (mut written, mut slowest) = (0, Duration::ZERO);
            let mut pace = tokio::time::interval(Duration::from_millis(100));
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                insert(scene.pool(), 5).await;
                slowest = slowest.max(began.elapsed());
                written += 5;
                // As much as the making of partitions bears.
                pace.tick().await;
            }
            (written, slowest)
        })
    });
    let writers: Vec<_> = writers.collect();
    // The active relay does so every ten seconds, for which these partitions are too small.
    let room = tokio::spawn({
        let (scene, stop) = (Arc::clone(&scene), Arc::clone(&stop));
        async move {
            let mut pace = tokio::time::interval(Duration::from_millis(200));
            while !stop.load(Ordering::Relaxed) {
                pace.tick().await;
                scene.store().make_room().await.unwrap();
            }
        }
    });
    let mut pruned = Pruned::default();
    while pruned.partitions_dropped < 15 {
        scene.deliver().await;
        let more = scene.prune().await;
        pruned.partitions_dropped += more.partitions_dropped;
        pruned.partitions_busy += more.partitions_busy;
        pruned.messages += more.messages;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut written, mut slowest) = (0, Duration::ZERO);
    for writer in writers {
        let (by_one, longest) = writer.await.expect("each insert finds a partition");
        written += by_one;
        slowest = slowest.max(longest);
    }
    room.await.unwrap();
    scene.deliver().await;
    eprintln!("{written} written, slowest insert {slowest:?}, {pruned:?}");
    assert_eq!(scene.broker.ids().len(), written);
    assert!(pruned.messages >= 1_499, "{pruned:?}");
}

/// An insert that waited for the lock of the emptying lands in the partition before it is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_lands_between_emptying_and_dropping_stays() {
    let scene = Scene::partitioned_at(PostgresVersion::Distribution).await;
    insert(scene.pool(), 350).await;
    scene.deliver().await;
    let leaf: String =
        sqlx::query_scalar("SELECT tableoid::regclass::text FROM outbox_messages WHERE seq = 50")
            .fetch_one(scene.pool())
            .await
            .unwrap();
    scene
        .run(&format!(
            "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
             CREATE TRIGGER slowly BEFORE TRUNCATE ON {leaf} EXECUTE FUNCTION slowly()"
        ))
        .await;
    let late = async {
        wait_until("the partition to be emptied", LIMIT, async || {
            let sleeping = "count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
            (scene.number(sleeping).await == 1).then_some(())
        })
        .await;
        scene
            .run(
                "INSERT INTO outbox_messages (seq, aggregate_type, aggregate_id, event_type, topic, payload)
                  OVERRIDING SYSTEM VALUE VALUES (50, 'order', 'k', 'OrderPlacedV1', 'orders', '{}')",
            )
            .await;
    };
    let (pruned, ()) = tokio::join!(scene.prune(), late);
    assert!(pruned.partitions_emptied >= 1, "{pruned:?}");
    assert_eq!(
        scene.number("count(*) FROM outbox_messages WHERE seq = 50").await,
        1,
        "{pruned:?}"
    );
    assert_eq!(scene.deliver().await, 1);
    scene.prune().await;
    assert_eq!(
        scene.number("count(*) FROM outbox_messages WHERE seq = 50").await,
        0
    );
}
