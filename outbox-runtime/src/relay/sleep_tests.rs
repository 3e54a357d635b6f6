//! A machine that slept through its relay's lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, SqlitePool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::leadership::clock::{BootClock, Clock};
use super::{Relay, RelayConfig};
use crate::testkit::MemoryBroker;
use crate::{RelayWaker, SqliteStore, Tables, migrate};

const LIMIT: Duration = Duration::from_secs(30);

/// So long that its renewer does not come to renew it by itself within the test.
const LEASE: Duration = Duration::from_secs(600);

/// The machine's clock, which has counted a sleep that the runtime's timers know nothing of.
#[derive(Default)]
struct SleptClock {
    seconds: AtomicU64,
}

impl Clock for SleptClock {
    fn now(&self) -> Duration {
        BootClock.now() + Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }
}

async fn run(pool: &SqlitePool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(LIMIT, waiting).await.is_ok(),
        "waited in vain for {what}"
    );
}

/// While it slept another relay took over. When it wakes, its timers still believe in the lease, and its clock
/// does not: nothing more is handed over.
#[tokio::test]
async fn a_machine_that_slept_through_its_lease_sends_nothing_when_it_wakes() {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    migrate(&pool, &Tables::default()).await.unwrap();
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  VALUES ('order', 'one', 'OrderPlacedV1', 'orders', '{}')";
    let (broker, waker) = (MemoryBroker::new(), RelayWaker::new());
    let config = RelayConfig::new()
        .lease_ttl(LEASE)
        // Looks at the log when it is woken, and not by itself.
        .poll_min(LIMIT * 10)
        .poll_max(LIMIT * 10);
    let builder = Relay::builder(SqliteStore::new(&pool), broker.publisher());
    let mut relay = builder.config(config).waker(waker.clone()).build().unwrap();
    let clock = Arc::new(SleptClock::default());
    relay.clock = clock.clone();
    let (progress, stop) = (relay.progress(), CancellationToken::new());
    let stopped = stop.clone();
    let running = tokio::spawn(async move { relay.run(stopped).await });
    run(&pool, insert.to_owned()).await;
    waker.wake();
    until("the first event", || broker.ids().len() == 1).await;

    let other = Uuid::new_v4();
    run(
        &pool,
        format!("UPDATE outbox_lease SET epoch = 2, token = '{other}', ttl_ms = 600000"),
    )
    .await;
    clock.seconds.store(LEASE.as_secs() + 1, Ordering::SeqCst);
    run(&pool, insert.to_owned()).await;
    waker.wake();
    until("the relay to stand by", || !progress.is_active()).await;
    assert_eq!(broker.sent(), 1, "it sent on without a lease");

    run(&pool, "UPDATE outbox_lease SET token = NULL".to_owned()).await;
    waker.wake();
    until("the second event", || broker.ids().len() == 2).await;
    stop.cancel();
    let report = running.await.unwrap().unwrap();
    assert_eq!((report.delivered, report.leader_terms), (2, 2));
}
