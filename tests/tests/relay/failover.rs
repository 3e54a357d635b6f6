//! Databases that are not what they were: another cluster, a server that cannot be written, and wake-ups between
//! processes.

use std::time::Duration;

use outbox_runtime::relay::RelayErrorKind;
use outbox_runtime::testkit::{MemoryBroker, MemoryPublisher};
use outbox_runtime::{PostgresStore, Relay, RelayConfig, RelayError, RelayWaker};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;

use crate::log::{LIMIT, quick};

const INSERT: &str = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                      VALUES ('order', 'one', 'OrderPlacedV1', 'orders', '{}')";

fn relay(
    pool: &PgPool,
    broker: &MemoryBroker,
    config: RelayConfig,
    waker: &RelayWaker,
) -> Relay<PostgresStore, MemoryPublisher> {
    let builder = Relay::builder(PostgresStore::new(pool), broker.publisher())
        .config(config)
        .waker(waker.clone());
    builder.build().unwrap()
}

async fn run(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

async fn drain(pool: &PgPool, broker: &MemoryBroker) -> Result<(), RelayError> {
    let mut relay = relay(pool, broker, quick(), &RelayWaker::new());
    tokio::time::timeout(LIMIT, relay.drain(CancellationToken::new()))
        .await
        .expect("the relay ends")
        .map(drop)
}

fn text_of(error: &RelayError) -> String {
    std::error::Error::source(error)
        .expect("it has a cause")
        .to_string()
}

/// A cursor that another cluster wrote: its snapshots say nothing here.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_cluster_ends_the_relay_and_sends_nothing() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    run(&database.pool, INSERT).await;
    drain(&database.pool, &broker).await.unwrap();
    run(&database.pool, INSERT).await;
    run(&database.pool, "UPDATE outbox_cursor SET system_identifier = '1'").await;
    let error = drain(&database.pool, &broker).await.unwrap_err();
    assert_eq!(error.kind(), RelayErrorKind::ForeignCluster);
    assert!(
        text_of(&error).contains("another database cluster"),
        "{}",
        text_of(&error)
    );
    assert_eq!(broker.ids().len(), 1, "something was sent");
    let free: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_lease WHERE token IS NULL")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(free, 1, "the lease was not given back");
}

/// Rows of a dump that was never relayed: their transactions have not happened here yet, and would be skipped.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_cluster_end_the_relay_and_are_not_skipped() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    run(
        &database.pool,
        INSERT
            .replace("(aggregate_type", "(xid, aggregate_type")
            .replace("('order'", "('900000000000', 'order'"),
    )
    .await;
    let error = drain(&database.pool, &broker).await.unwrap_err();
    assert_eq!(error.kind(), RelayErrorKind::ForeignCluster);
    assert!(broker.ids().is_empty());
}

/// What a fail-over looks like from here: the server answers, and cannot be written.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_is_waited_for() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    run(&database.pool, INSERT).await;
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    run(
        &database.pool,
        format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
    )
    .await;
    let running = relay(&database.pool, &broker, quick(), &RelayWaker::new()).spawn();
    wait_until("the relay to try", LIMIT, async || {
        let query =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'outbox-relay'";
        let there: i64 = sqlx::query_scalar(query)
            .bind(&name)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        (there > 0).then_some(())
    })
    .await;
    assert!(broker.ids().is_empty());
    // The pool's connection may be a new one, whose transactions are read-only unless they say otherwise.
    run(
        &database.pool,
        format!("BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT"),
    )
    .await;
    wait_until("the event to arrive", LIMIT, async || {
        (broker.ids().len() == 1).then_some(())
    })
    .await;
    running.stop().await.unwrap();
}

/// A commit in a process whose relay stands by wakes the active relay of another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_passes_its_wake_on() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    // Polling alone would not look again before the test has failed.
    let config = quick()
        .poll_min(LIMIT * 10)
        .poll_max(LIMIT * 10)
        .lease_ttl(Duration::from_secs(5));
    let active = relay(&database.pool, &broker, config.clone(), &RelayWaker::new()).spawn();
    wait_until("the first to be active", LIMIT, async || {
        active.progress().is_active().then_some(())
    })
    .await;
    let waker = RelayWaker::new();
    let standby = relay(&database.pool, &broker, config, &waker).spawn();
    wait_until("the active one to listen", LIMIT, async || {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        let there: i64 = sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap();
        (there > 0).then_some(())
    })
    .await;
    for round in 1..=5 {
        run(&database.pool, INSERT).await;
        waker.wake();
        wait_until("the event to arrive", LIMIT, async || {
            (broker.ids().len() == round).then_some(())
        })
        .await;
    }
    assert!(!standby.progress().is_active());
    standby.stop().await.unwrap();
    active.stop().await.unwrap();
}
