//! A rolling upgrade: the tables become of a later version while relays of this one are at work.

use outbox_runtime::publisher::Publisher;
use outbox_runtime::relay::RelayErrorKind;
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay, RelayError, RelayWaker, RunningRelay};
use outbox_tests::{NextTables, TestDatabase, wait_until};
use sqlx::{AssertSqlSafe, PgPool};

use crate::log::{LIMIT, Scene, quick};

async fn ended(relay: RunningRelay) -> RelayError {
    let ended = tokio::time::timeout(LIMIT, relay.ended()).await;
    ended.expect("the relay ends");
    relay.stop().await.expect_err("it says why")
}

fn assert_is_told_to_be_newer(error: &RelayError) {
    assert_eq!(error.kind(), RelayErrorKind::Schema);
    let told = outbox_runtime::ErrorChain::new(error).to_string();
    assert!(
        told.contains(&format!("have version {}", NextTables::VERSION)) && told.contains("newer version"),
        "{told}"
    );
}

/// It looks at the version some seconds after its start: once the other relay has ended, this one has looked, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_at_sqlite_goes_on_if_it_may_and_ends_if_not() {
    let (leaves_it, leaves_none) = (Scene::new().await, Scene::new().await);
    let (going_on, ending) = (leaves_it.relay().spawn(), leaves_none.relay().spawn());
    for (scene, next) in [
        (&leaves_it, NextTables::LeaveThisOne),
        (&leaves_none, NextTables::LeaveNone),
    ] {
        scene.commit(10).await;
        scene.until_log_has(10).await;
        let migration = AssertSqlSafe(next.migration());
        sqlx::raw_sql(migration)
            .execute(&scene.database.pool)
            .await
            .unwrap();
    }
    assert_is_told_to_be_newer(&ended(ending).await);

    leaves_it.commit(10).await;
    leaves_it.until_log_has(20).await;
    // The lease moves to one that starts with the new tables.
    let standby = leaves_it.relay_with(quick(), RelayWaker::new()).spawn();
    going_on.stop().await.unwrap();
    leaves_it.commit(10).await;
    leaves_it.until_log_has(30).await;
    standby.stop().await.unwrap();
    let ids = leaves_it.broker.ids();
    assert_eq!(ids.len(), 30, "each came once");
}

const INSERT: &str = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                      SELECT 'order', 'one', 'OrderPlacedV1', 'orders', '{}' FROM generate_series(1, 10)";

struct Log {
    database: TestDatabase<sqlx::Postgres>,
    broker: MemoryBroker,
}

impl Log {
    async fn new() -> Self {
        Self {
            database: TestDatabase::postgres().await,
            broker: MemoryBroker::new(),
        }
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    fn relay(&self) -> Relay<PostgresStore, impl Publisher + use<>> {
        let builder = Relay::builder(PostgresStore::new(self.pool()), self.broker.publisher());
        builder.config(quick()).build().unwrap()
    }

    async fn run(&self, sql: impl Into<String>) {
        sqlx::raw_sql(AssertSqlSafe(sql.into()))
            .execute(self.pool())
            .await
            .unwrap();
    }

    async fn until_it_has(&self, count: usize) {
        wait_until("records to arrive", LIMIT, async || {
            (self.broker.ids().len() >= count).then_some(())
        })
        .await;
    }
}

/// As above; and connections are cut, so that the relay begins again with the new tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_at_postgres_goes_on_if_it_may_and_ends_if_not() {
    let (leaves_it, leaves_none) = (Log::new().await, Log::new().await);
    let (going_on, ending) = (leaves_it.relay().spawn(), leaves_none.relay().spawn());
    for (log, next) in [
        (&leaves_it, NextTables::LeaveThisOne),
        (&leaves_none, NextTables::LeaveNone),
    ] {
        log.run(INSERT).await;
        log.until_it_has(10).await;
        log.run(next.migration()).await;
    }
    assert_is_told_to_be_newer(&ended(ending).await);

    leaves_it.run(INSERT).await;
    leaves_it.until_it_has(20).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    leaves_it.run(cut).await;
    leaves_it.run(INSERT).await;
    leaves_it.until_it_has(30).await;
    let standby = leaves_it.relay().spawn();
    going_on.stop().await.unwrap();
    leaves_it.run(INSERT).await;
    leaves_it.until_it_has(40).await;
    standby.stop().await.unwrap();
    assert_eq!(leaves_it.broker.ids().len(), 40, "each came once");
}
