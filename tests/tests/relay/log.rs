//! A log in SQLite and a broker in memory: everything that a relay does by itself.

use std::time::Duration;

use outbox_runtime::relay::RelayErrorKind;
use outbox_runtime::testkit::{MemoryBroker, MemoryPublisher};
use outbox_runtime::{Relay, RelayConfig, RelayWaker, SqliteStore, Tables};
use outbox_tests::TestDatabase;
use outbox_tests::wait_until;
use sqlx::{AssertSqlSafe, Sqlite};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for a slow machine, and never waited for when all is well.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// A log, a broker, and relays between them.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase<Sqlite>,
    pub(crate) broker: MemoryBroker,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self {
            database: TestDatabase::sqlite().await,
            broker: MemoryBroker::new(),
        }
    }

    pub(crate) fn relay(&self) -> Relay<SqliteStore, MemoryPublisher> {
        self.relay_with(quick(), RelayWaker::new())
    }

    pub(crate) fn relay_with(
        &self,
        config: RelayConfig,
        waker: RelayWaker,
    ) -> Relay<SqliteStore, MemoryPublisher> {
        let store = SqliteStore::new(&self.database.pool);
        let builder = Relay::builder(store, self.broker.publisher())
            .config(config)
            .waker(waker);
        builder.build().expect("the configuration is right")
    }

    /// Commits events, all of one key, and returns their ids.
    pub(crate) async fn commit(&self, count: usize) -> Vec<Uuid> {
        self.commit_to("orders", count).await
    }

    /// As [`commit`](Self::commit), for another topic.
    pub(crate) async fn commit_to(&self, topic: &str, count: usize) -> Vec<Uuid> {
        let mut transaction = self.database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = Uuid::now_v7();
            let insert = format!(
                "INSERT INTO {} (id, aggregate_type, aggregate_id, event_type, topic, payload)
                 VALUES ($1, 'order', 'one', 'OrderPlacedV1', $2, '{{}}')",
                Tables::default().messages()
            );
            sqlx::query(AssertSqlSafe(insert))
                .bind(id.to_string())
                .bind(topic)
                .execute(&mut *transaction)
                .await
                .unwrap();
            ids.push(id);
        }
        transaction.commit().await.unwrap();
        ids
    }

    pub(crate) async fn count(&self, of: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT {of}")))
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn until_log_has(&self, count: usize) {
        let broker = self.broker.clone();
        let long_enough = move || {
            let there = broker.ids().len() >= count;
            async move { there.then_some(()) }
        };
        wait_until("the log to be long enough", LIMIT, long_enough).await;
    }
}

/// A configuration that makes failures quick to watch.
pub(crate) fn quick() -> RelayConfig {
    RelayConfig::new()
        .lease_ttl(Duration::from_millis(600))
        .persist_interval(Duration::from_millis(20))
        .backoff_min(Duration::from_millis(5))
        .backoff_max(Duration::from_millis(50))
        .shutdown_timeout(Duration::from_millis(500))
}

#[tokio::test]
async fn a_run_delivers_what_is_committed_and_ends() {
    let scene = Scene::new().await;
    let ids = scene.commit(100).await;
    let report = scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
    assert_eq!(
        (report.delivered, report.dead_lettered, report.leader_terms),
        (100, 0, 1)
    );
    let again = scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(
        (again.delivered, scene.broker.ids().len()),
        (0, 100),
        "delivered events came again"
    );
}

#[tokio::test]
async fn a_small_window_and_small_pages_deliver_the_same() {
    let scene = Scene::new().await;
    let ids = scene.commit(257).await;
    let config = quick()
        .page_rows(3)
        .max_in_flight_records(2)
        .max_in_flight_bytes(1);
    scene
        .relay_with(config, RelayWaker::new())
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(scene.broker.ids(), ids);
}

#[tokio::test]
async fn a_commit_wakes_the_relay_of_its_process() {
    let scene = Scene::new().await;
    let waker = RelayWaker::new();
    // Polling alone would not look again before the test has failed.
    let config = quick().poll_min(LIMIT * 10).poll_max(LIMIT * 10);
    let relay = scene.relay_with(config, waker.clone()).spawn();
    for round in 1..=5 {
        scene.commit(1).await;
        waker.wake();
        scene.until_log_has(round).await;
    }
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn rows_without_a_wake_up_are_found() {
    let scene = Scene::new().await;
    let relay = scene.relay().spawn();
    for round in 1..=5 {
        scene.commit(1).await;
        scene.until_log_has(round).await;
    }
    let report = relay
        .stop()
        .await
        .unwrap()
        .expect("the first to stop gets the report");
    assert_eq!(report.delivered, 5);
}

#[tokio::test]
async fn a_stop_may_be_asked_for_by_many_and_again() {
    let scene = Scene::new().await;
    scene.commit(10).await;
    let relay = scene.relay().spawn();
    scene.until_log_has(10).await;
    let stops = futures_util::future::join_all((0..20).map(|_| relay.stop())).await;
    let reports: Vec<_> = stops.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!((reports.len(), reports[0].delivered), (1, 10));
    assert_eq!(relay.stop().await.unwrap(), None);
    assert_eq!(
        scene
            .count("count(*) FROM outbox_lease WHERE token IS NULL")
            .await,
        1,
        "the lease was not given back"
    );
}

#[tokio::test]
async fn a_stop_settles_what_was_handed_over() {
    let scene = Scene::new().await;
    scene.broker.hold();
    let ids = scene.commit(10).await;
    let config = quick().shutdown_timeout(LIMIT);
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    let broker = scene.broker.clone();
    let handed_over = || async { (broker.waiting() == 10).then_some(()) };
    wait_until("all records to be handed over", LIMIT, handed_over).await;
    let (stopped, ()) = tokio::join!(relay.stop(), async {
        tokio::task::yield_now().await;
        scene.broker.release();
    });
    let report = stopped.unwrap().unwrap();
    assert_eq!(
        (report.delivered, report.possible_duplicates.stop_deadline),
        (10, 0)
    );
    assert_eq!(
        scene.count("high FROM outbox_cursor").await,
        10,
        "the cursor says less than was settled"
    );
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_broker_that_hangs() {
    let scene = Scene::new().await;
    scene.broker.hold();
    let ids = scene.commit(10).await;
    let config = quick().shutdown_timeout(Duration::from_millis(50));
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    let broker = scene.broker.clone();
    let handed_over = || async { (broker.waiting() == 10).then_some(()) };
    wait_until("all records to be handed over", LIMIT, handed_over).await;
    let report = tokio::time::timeout(LIMIT, relay.stop())
        .await
        .expect("the stop ends")
        .unwrap()
        .unwrap();
    assert_eq!(
        (report.delivered, report.possible_duplicates.stop_deadline),
        (0, 10),
        "the possible duplicate is not counted"
    );
    scene.broker.release();
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
}

#[tokio::test]
async fn one_relay_is_active_and_another_follows_it() {
    let scene = Scene::new().await;
    let first = scene.relay().spawn();
    let progress = first.progress().clone();
    wait_until("the first to be active", LIMIT, || async {
        progress.is_active().then_some(())
    })
    .await;
    let second = scene.relay().spawn();
    scene.commit(50).await;
    scene.until_log_has(50).await;
    assert!(!second.progress().is_active(), "two relays are active");
    first.stop().await.unwrap();
    let ids = scene.commit(50).await;
    scene.until_log_has(100).await;
    assert!(second.progress().is_active());
    assert_eq!(scene.broker.ids()[50..], ids);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn tables_that_are_missing_end_a_relay_with_what_to_run() {
    let scene = Scene::new().await;
    let tables = Tables::new(None, "other_").unwrap();
    let store = SqliteStore::new(&scene.database.pool).tables(&tables);
    let mut relay = Relay::builder(store, scene.broker.publisher())
        .config(quick())
        .build()
        .unwrap();
    let error = relay.drain(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), RelayErrorKind::Schema);
    let source = std::error::Error::source(&error)
        .expect("it has a cause")
        .to_string();
    assert!(source.contains("outbox migrate"), "{source}");
}
