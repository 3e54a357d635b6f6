//! What a relay does when the broker fails, or when it loses its lease: seen from a broker in memory, which
//! fails on request.

use std::time::Duration;

use outbox_runtime::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, Ticket};
use outbox_runtime::record::{OutboxRecord, WireOptions};
use outbox_runtime::testkit::MemoryPublisher;
use outbox_runtime::{Relay, RelayWaker, SqliteStore};
use outbox_tests::wait_until;
use tokio_util::sync::CancellationToken;

use crate::log::{LIMIT, Scene, quick};

#[tokio::test]
async fn a_record_that_failed_is_sent_again_and_the_others_are_not_doubled() {
    let scene = Scene::new().await;
    let ids = scene.commit(100).await;
    for kind in [
        PublishErrorKind::Unavailable,
        PublishErrorKind::Topic,
        PublishErrorKind::Fatal,
    ] {
        scene.broker.fail(ids[40], kind);
    }
    scene.broker.refuse(ids[70], PublishErrorKind::Unavailable);
    let report = scene.relay().drain(CancellationToken::new()).await.unwrap();
    let mut delivered = scene.broker.ids();
    assert_eq!(delivered.len(), 100, "a record is lost or doubled");
    // The refusal may interrupt the same pass as the first failure.
    assert_eq!((report.delivered, report.dead_lettered), (100, 0));
    assert!((3..=4).contains(&report.interruptions), "{report:?}");
    delivered.sort_unstable();
    let mut ids = ids;
    ids.sort_unstable();
    assert_eq!(delivered, ids);
}

#[tokio::test]
async fn a_record_that_no_retry_can_deliver_is_dead_lettered_and_the_others_go_on() {
    let scene = Scene::new().await;
    let ids = scene.commit(100).await;
    scene.broker.fail(ids[0], PublishErrorKind::Record("too_large"));
    scene
        .broker
        .refuse(ids[50], PublishErrorKind::Record("invalid_topic"));
    scene.broker.fail(ids[99], PublishErrorKind::Record("too_large"));
    let report = scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!((report.delivered, report.dead_lettered), (97, 3));
    assert_eq!(scene.broker.ids(), [&ids[1..50], &ids[51..99]].concat());
    let dead_lettered: Vec<(String, String, String)> =
        sqlx::query_as("SELECT id, state, reason FROM outbox_dead_letters ORDER BY seq")
            .fetch_all(&scene.database.pool)
            .await
            .unwrap();
    let expected = [
        (ids[0], "too_large"),
        (ids[50], "invalid_topic"),
        (ids[99], "too_large"),
    ];
    let expected = expected.map(|(id, reason)| (id.to_string(), "dead".to_owned(), reason.to_owned()));
    assert_eq!(dead_lettered, expected);
    assert_eq!(
        scene.count("high FROM outbox_cursor").await,
        100,
        "a dead letter holds the cursor"
    );
}

#[tokio::test]
async fn a_broker_that_hangs_is_waited_for() {
    let scene = Scene::new().await;
    let ids = scene.commit(30).await;
    scene.broker.hold();
    let relay = scene.relay().spawn();
    let broker = scene.broker.clone();
    wait_until("all to be handed over", LIMIT, || async {
        (broker.waiting() == 30).then_some(())
    })
    .await;
    assert_eq!(
        scene.count("high FROM outbox_cursor").await,
        0,
        "the cursor passed what is not acknowledged"
    );
    scene.broker.release();
    scene.until_log_has(30).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!((report.delivered, report.interruptions), (30, 0));
    assert_eq!(scene.broker.ids(), ids);
}

#[tokio::test]
async fn a_relay_that_lost_its_lease_takes_back_what_it_had_not_sent() {
    let scene = Scene::new().await;
    let ids = scene.commit(20).await;
    scene.broker.hold();
    let config = quick().lease_ttl(Duration::from_millis(300));
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    let broker = scene.broker.clone();
    wait_until("all to be handed over", LIMIT, || async {
        (broker.waiting() == 20).then_some(())
    })
    .await;
    // Another relay takes over: the lease names a token that the first one does not know.
    sqlx::query("UPDATE outbox_lease SET epoch = epoch + 1, token = $1, ttl_ms = 300")
        .bind(uuid::Uuid::new_v4().to_string())
        .execute(&scene.database.pool)
        .await
        .unwrap();
    wait_until("the queue to be withdrawn", LIMIT, || async {
        (broker.waiting() == 0).then_some(())
    })
    .await;
    assert!(scene.broker.ids().is_empty(), "it went on without the lease");
    // The usurper is silent, so the first relay gets the lease again.
    scene.broker.release();
    scene.until_log_has(20).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!(scene.broker.ids(), ids);
    assert_eq!((report.delivered, report.leader_terms), (20, 2));
}

#[tokio::test]
async fn a_crash_repeats_only_what_the_cursor_did_not_know() {
    let scene = Scene::new().await;
    let ids = scene.commit(10).await;
    let mut relay = scene.relay();
    // Dropping the future is the crash: everything was acknowledged, and the cursor may not have been written.
    let crashed = tokio::time::timeout(LIMIT, async {
        tokio::select! {
            _ = relay.run(tokio_util::sync::CancellationToken::new()) => unreachable!("nobody stops it"),
            () = scene.until_log_has(10) => {}
        }
    });
    crashed.await.expect("all arrive");
    drop(relay);
    let more = scene.commit(10).await;
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    let mut seen = Vec::new();
    for id in scene.broker.ids() {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    assert_eq!(seen, [ids, more].concat(), "first occurrences are out of order");
}

/// A broker that goes away with records on its hands may have them: they are awaited, and not taken back and sent
/// anew because the next record's topic cannot be prepared.
#[tokio::test]
async fn a_topic_that_cannot_be_prepared_takes_nothing_back() {
    let scene = Scene::new().await;
    scene.broker.hold();
    for _ in 0..3 {
        scene.broker.fail_to_prepare("new", PublishErrorKind::Unavailable);
    }
    let mut ids = scene.commit(10).await;
    ids.extend(scene.commit_to("new", 1).await);
    let relay = scene.relay().spawn();
    let broker = scene.broker.clone();
    wait_until("all others to be handed over", LIMIT, || async {
        (broker.waiting() == 10).then_some(())
    })
    .await;
    // Longer than the pause before the next attempt.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(broker.waiting(), 10, "records were taken back");
    }
    scene.broker.release();
    scene.until_log_has(11).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!((scene.broker.ids(), scene.broker.sent()), (ids, 11));
    assert_eq!((report.delivered, report.interruptions), (11, 3));
}

#[tokio::test]
async fn a_refusal_takes_nothing_back_that_was_handed_over() {
    let scene = Scene::new().await;
    let ids = scene.commit(10).await;
    scene.broker.hold();
    scene.broker.refuse(ids[7], PublishErrorKind::Unavailable);
    let relay = scene.relay().spawn();
    let broker = scene.broker.clone();
    wait_until("the first records to be handed over", LIMIT, || async {
        (broker.waiting() == 7).then_some(())
    })
    .await;
    // Time for several passes, if they did not wait.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(scene.broker.waiting(), 7, "records on their way were taken back");
    scene.broker.release();
    scene.until_log_has(10).await;
    relay.stop().await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
    assert_eq!(scene.broker.sent(), 10, "a record was handed over again");
}

/// A publisher without a queue: what was handed over is on its way at once, and cannot be taken back.
struct Direct(MemoryPublisher);

impl Publisher for Direct {
    fn start(&mut self) -> Result<(), PublishError> {
        self.0.start()
    }

    async fn prepare(&mut self, topic: &str) -> Result<(), PublishError> {
        self.0.prepare(topic).await
    }

    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError> {
        self.0.send(ticket, record, wire)
    }

    async fn settled(&mut self, into: &mut Vec<Settlement>) {
        self.0.settled(into).await;
    }

    fn withdraw(&mut self) {}

    async fn answers(&mut self) -> bool {
        self.0.answers().await
    }

    async fn rebuild(&mut self) -> Result<(), PublishError> {
        self.0.rebuild().await
    }
}

#[tokio::test]
async fn a_stop_after_an_interruption_waits_for_what_is_on_its_way() {
    let scene = Scene::new().await;
    let ids = scene.commit(10).await;
    scene.broker.hold();
    scene.broker.refuse(ids[7], PublishErrorKind::Unavailable);
    let config = quick().shutdown_timeout(LIMIT);
    let store = SqliteStore::new(&scene.database.pool);
    let relay = Relay::builder(store, Direct(scene.broker.publisher())).config(config);
    let relay = relay.build().unwrap().spawn();
    let broker = scene.broker.clone();
    wait_until("the first records to be handed over", LIMIT, || async {
        (broker.waiting() == 7).then_some(())
    })
    .await;
    // The refusal has ended the pass, and the next one waits for what is on its way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (stopped, ()) = tokio::join!(relay.stop(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        scene.broker.release();
    });
    let report = stopped.unwrap().unwrap();
    assert_eq!(
        (report.delivered, report.possible_duplicates.stop_deadline),
        (7, 0)
    );
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
}

/// The report names the cause: the lease was lost while the stop had time left.
#[tokio::test]
async fn a_lease_that_is_lost_during_a_stop_is_reported_as_lost() {
    let scene = Scene::new().await;
    let ids = scene.commit(10).await;
    scene.broker.hold();
    scene.broker.refuse(ids[7], PublishErrorKind::Unavailable);
    let config = quick()
        .shutdown_timeout(LIMIT)
        .lease_ttl(Duration::from_millis(300));
    let store = SqliteStore::new(&scene.database.pool);
    let relay = Relay::builder(store, Direct(scene.broker.publisher())).config(config);
    let relay = relay.build().unwrap().spawn();
    let broker = scene.broker.clone();
    wait_until("the first records to be handed over", LIMIT, || async {
        (broker.waiting() == 7).then_some(())
    })
    .await;
    // The refusal has ended the pipeline run, and the next one waits for the records in flight.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (stopped, ()) = tokio::join!(relay.stop(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sqlx::query("UPDATE outbox_lease SET epoch = epoch + 1, token = $1, ttl_ms = 300")
            .bind(uuid::Uuid::now_v7().to_string())
            .execute(&scene.database.pool)
            .await
            .unwrap();
    });
    let report = stopped.unwrap().unwrap();
    let duplicates = report.possible_duplicates;
    assert_eq!((duplicates.lost_lease, duplicates.stop_deadline), (7, 0));
}

/// It is sent until it is taken, since the stop has time left: what stands behind it is settled, and would come twice.
#[tokio::test]
async fn a_record_that_fails_again_during_a_stop_is_sent_again() {
    let scene = Scene::new().await;
    let ids = scene.commit(10).await;
    scene.broker.hold();
    for kind in [
        PublishErrorKind::Unavailable,
        PublishErrorKind::Topic,
        PublishErrorKind::Unavailable,
    ] {
        scene.broker.fail(ids[3], kind);
    }
    let config = quick().shutdown_timeout(LIMIT).lease_ttl(LIMIT);
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    let broker = scene.broker.clone();
    wait_until("all records to be handed over", LIMIT, || async {
        (broker.waiting() == 10).then_some(())
    })
    .await;
    let (stopped, ()) = tokio::join!(relay.stop(), async {
        tokio::task::yield_now().await;
        scene.broker.release();
    });
    let report = stopped.unwrap().unwrap();
    assert_eq!(
        (report.delivered, report.possible_duplicates),
        (10, Default::default())
    );
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    let mut delivered = scene.broker.ids();
    delivered.sort_unstable();
    assert_eq!(delivered, ids);
}
