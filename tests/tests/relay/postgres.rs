//! Concurrent writers on real PostgreSQL, relays to real Kafka, and the checker between them.

use std::time::Duration;

use outbox_runtime::relay::{PossibleDuplicates, RelayHealth};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{KafkaPublisher, PostgresStore, Relay, RelayConfig};
use outbox_tests::kafka::Topic;
use outbox_tests::proxy::{Mode, Proxy};
use outbox_tests::servers::{self, PostgresVersion};
use outbox_tests::writers::Writers;
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres};
use tokio_util::sync::CancellationToken;

use crate::log::LIMIT;

fn relay(pool: &PgPool) -> Relay<PostgresStore, KafkaPublisher> {
    relay_with_lease(pool, Duration::from_secs(2))
}

fn relay_with_lease(pool: &PgPool, lease_ttl: Duration) -> Relay<PostgresStore, KafkaPublisher> {
    let config = RelayConfig::new()
        .lease_ttl(lease_ttl)
        // Longer than a stop takes on a busy machine, so that it leaves nothing that comes twice.
        .shutdown_timeout(LIMIT)
        // Small, so that windows and pages meet often.
        .page_rows(70)
        .persist_interval(Duration::from_millis(30));
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    Relay::builder(PostgresStore::new(pool), publisher)
        .config(config)
        .build()
        .unwrap()
}

pub(crate) async fn one_relay_beside_writers(database: TestDatabase<Postgres>) {
    let topics = [Topic::create("one", 3).await, Topic::create("two", 3).await];
    let names = topics.each_ref().map(Topic::name);
    let writers = Writers::on(&database.pool, names)
        .transactions(1_500)
        .start()
        .await;
    let running = relay(&database.pool).spawn();
    let ledger = writers.finish().await;
    running.stop().await.unwrap();
    relay(&database.pool)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    let mut records = topics[0].read_all().await;
    records.extend(topics[1].read_all().await);
    let report = ledger.check(&records);
    assert!(report.is_exact(), "{report}");
    assert!(
        report.committed > 3_000,
        "too little was written to prove anything: {report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_arrives_once_and_in_order() {
    one_relay_beside_writers(TestDatabase::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_arrives_once_and_in_order_from_postgres_13() {
    one_relay_beside_writers(TestDatabase::postgres_at(PostgresVersion::V13).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_arrives_once_and_in_order_from_postgres_18() {
    one_relay_beside_writers(TestDatabase::postgres_at(PostgresVersion::V18).await).await;
}

/// Clean stops make no duplicates, wherever in a window they come.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_restarted_again_and_again_goes_on_where_it_was() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create("restarts", 3).await;
    let writers = Writers::on(&database.pool, [topic.name()])
        .transactions(u64::MAX)
        .pause(Duration::from_millis(10))
        .start()
        .await;
    let mut restart = 0;
    while restart < 14 || topic.end_offset().await == 0 {
        let running = relay(&database.pool).spawn();
        // Longer in each round: a machine may be too busy to start a relay within the first ones.
        let round = restart / 7;
        tokio::time::sleep(Duration::from_millis(50 + 37 * (restart % 7) + 100 * round)).await;
        running.stop().await.unwrap();
        restart += 1;
    }
    let ledger = writers.stop().await;
    relay(&database.pool)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    let report = ledger.check(&topic.read_all().await);
    assert!(report.is_exact(), "{report}");
}

/// Crashes make duplicates, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn relays_that_crash_lose_and_invent_nothing() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create("crashes", 3).await;
    let writers = Writers::on(&database.pool, [topic.name()])
        .transactions(u64::MAX)
        .pause(Duration::from_millis(10))
        .start()
        .await;
    let mut crash = 0;
    while crash < 9 || topic.end_offset().await == 0 {
        let mut crashing = relay(&database.pool);
        let until = tokio::time::sleep(Duration::from_millis(100 + 61 * crash));
        let stop = tokio_util::sync::CancellationToken::new();
        tokio::select! {
            _ = crashing.run(stop) => unreachable!("nobody stops it"),
            // The future is dropped in the middle of whatever it does.
            () = until => {}
        }
        // A crashed holder is silent for its lease; do not wait for that here.
        sqlx::query("UPDATE outbox_lease SET token = NULL")
            .execute(&database.pool)
            .await
            .unwrap();
        crash += 1;
    }
    let ledger = writers.stop().await;
    relay(&database.pool)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    let report = ledger.check(&topic.read_all().await);
    assert!(report.holds(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_do_what_one_does() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create("two-relays", 3).await;
    let writers = Writers::on(&database.pool, [topic.name()])
        .transactions(1_500)
        .start()
        .await;
    let (first, second) = (relay(&database.pool).spawn(), relay(&database.pool).spawn());
    let ledger = writers.finish().await;
    let (first, second) = tokio::join!(first.stop(), second.stop());
    assert!(first.is_ok() && second.is_ok());
    relay(&database.pool)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    let report = ledger.check(&topic.read_all().await);
    assert!(report.is_exact(), "{report}");
}

/// Connections are cut while records are on their way. The lease holds, so nothing comes twice.
///
/// Each cut waits until the relay has sent something after the one before: on a busy machine it would otherwise never
/// come as far as to renew its lease, and what is not recorded as settled may come twice when that is lost.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_make_no_duplicates() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create("cut", 3).await;
    let writers = Writers::on(&database.pool, [topic.name()])
        .transactions(u64::MAX)
        .pause(Duration::from_millis(10))
        .start()
        .await;
    let running = relay_with_lease(&database.pool, LIMIT).spawn();
    let mut sent = 0;
    for pause in (0..20).map(|cut| Duration::from_millis(15 * cut)) {
        sent = wait_until("the relay to send more", LIMIT, async || {
            let now = running.progress().delivered();
            (now > sent).then_some(now)
        })
        .await;
        tokio::time::sleep(pause).await;
        wait_until("connections to be cut", LIMIT, async || {
            (cut_the_relays_connections(&database.pool).await > 0).then_some(())
        })
        .await;
    }
    let ledger = writers.stop().await;
    let stopped = running.stop().await.unwrap().unwrap();
    assert_eq!(stopped.leader_terms, 1, "the lease was lost");
    let drained = relay(&database.pool)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    let expected = [stopped.possible_duplicates, drained.possible_duplicates];
    assert_eq!(expected, [PossibleDuplicates::default(); 2]);
    let report = ledger.check(&topic.read_all().await);
    assert!(report.is_exact(), "{report}");
}

async fn cut_the_relays_connections(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'outbox-relay'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// The connection of the lease waits between two renewals, and may have broken when the relay is stopped: the next relay
/// does not have to wait for the lease's end all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_the_lease_back_though_its_connection_has_broken() {
    let database = TestDatabase::postgres().await;
    let lease = async || {
        let held: bool = sqlx::query_scalar("SELECT token IS NOT NULL FROM outbox_lease")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        held
    };
    let running = relay_with_lease(&database.pool, LIMIT).spawn();
    wait_until("the relay to be the active one", LIMIT, async || {
        lease().await.then_some(())
    })
    .await;
    assert!(cut_the_relays_connections(&database.pool).await > 0);
    running.stop().await.unwrap().unwrap();
    assert!(!lease().await, "the lease is still held");
}

/// A database that does not answer keeps a stop no longer than its own limit, and little for the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_database_that_hangs() {
    let database = TestDatabase::postgres().await;
    let proxy = Proxy::to(database.pool.connect_options().get_port()).await;
    let behind = database.pool.connect_options().as_ref().clone();
    let behind = behind.host("127.0.0.1").port(proxy.port());
    let pool = PgPoolOptions::new().connect_lazy_with(behind);
    let ttl = Duration::from_secs(30);
    let config = RelayConfig::new()
        .lease_ttl(ttl)
        .shutdown_timeout(Duration::from_secs(1));
    let relay = Relay::builder(PostgresStore::new(&pool), MemoryBroker::new().publisher()).config(config);
    let running = relay.build().unwrap().spawn();
    wait_until("the relay to be the active one", LIMIT, async || {
        (running.health() == RelayHealth::Active).then_some(())
    })
    .await;
    proxy.set(Mode::Stall);
    // By now it waits for a renewal of the lease.
    tokio::time::sleep(ttl / 3 + Duration::from_millis(500)).await;
    let stopped = tokio::time::timeout(ttl * 2 / 5, running.stop()).await;
    stopped.expect("the stop ends").unwrap();
}

/// What was acknowledged is written down, even if the connection breaks just when the relay is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_a_connection_forgets_nothing() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    let mut expected = 0;
    for _ in 0..10 {
        let store = PostgresStore::new(&database.pool);
        // The cursor is not written by itself before the stop.
        let config = RelayConfig::new().persist_interval(Duration::from_secs(60));
        let running = Relay::builder(store, broker.publisher())
            .config(config)
            .build()
            .unwrap()
            .spawn();
        sqlx::query(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', 'one', 'OrderPlacedV1', 'orders', '{}' FROM generate_series(1, 10)",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        expected += 10;
        let arrived = || async { (broker.ids().len() >= expected).then_some(()) };
        wait_until("the events to arrive", LIMIT, arrived).await;
        cut_the_relays_connections(&database.pool).await;
        running.stop().await.unwrap();
        assert_eq!(broker.ids().len(), expected, "an event came twice");
    }
}

/// What is settled beyond an unsettled record cannot be written down by itself. A stop sends what stands between.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_stands_before_settled_records() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    let relay = || {
        // The cursor is written for the first event, and not again before the stop.
        let config = RelayConfig::new().persist_interval(Duration::from_secs(60));
        Relay::builder(PostgresStore::new(&database.pool), broker.publisher())
            .config(config)
            .build()
            .unwrap()
    };
    const INSERT: &str =
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         VALUES ('order', 'one', 'OrderPlacedV1', 'orders', '{}')";
    sqlx::query(INSERT).execute(&database.pool).await.unwrap();
    let running = relay().spawn();
    let written = async || {
        let high: i64 = sqlx::query_scalar("SELECT high FROM outbox_cursor")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        (high == 1).then_some(())
    };
    wait_until("the first event to be written down", LIMIT, written).await;
    let mut earlier = database.pool.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut *earlier).await.unwrap();
    sqlx::query(INSERT).execute(&database.pool).await.unwrap();
    let arrived = async || (broker.ids().len() == 2).then_some(());
    wait_until("the third event to arrive", LIMIT, arrived).await;

    // The next reader finds the second one before it, and opens when the stop was asked for.
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE outbox_cursor")
        .execute(&mut *locked)
        .await
        .unwrap();
    cut_the_relays_connections(&database.pool).await;
    earlier.commit().await.unwrap();
    let (stopped, unlocked) = tokio::join!(running.stop(), locked.commit());
    unlocked.unwrap();
    let report = stopped.unwrap().unwrap();
    assert_eq!(report.possible_duplicates, PossibleDuplicates::default());
    relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(broker.ids().len(), 3, "an event came twice");
}
