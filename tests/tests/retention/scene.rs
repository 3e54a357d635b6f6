//! A log in PostgreSQL, a broker in memory, and pruners.

use std::time::Duration;

use outbox_runtime::retention::{Keep, Pruned, Pruner, Retention};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay, RelayConfig};
use outbox_tests::TestDatabase;
use outbox_tests::servers::PostgresVersion;
use sqlx::{AssertSqlSafe, PgExecutor, PgPool, Postgres};
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Scene {
    pub(crate) database: TestDatabase<Postgres>,
    pub(crate) broker: MemoryBroker,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::at(PostgresVersion::Distribution).await
    }

    pub(crate) async fn at(version: PostgresVersion) -> Self {
        Self::of(TestDatabase::postgres_at(version).await)
    }

    /// With partitions of 100 rows.
    pub(crate) async fn partitioned_at(version: PostgresVersion) -> Self {
        Self::of(TestDatabase::partitioned_at(version, 100).await)
    }

    fn of(database: TestDatabase<Postgres>) -> Self {
        Self {
            database,
            broker: MemoryBroker::new(),
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::new(self.pool())
    }

    /// Delivers all that is committed, and writes the cursor.
    pub(crate) async fn deliver(&self) -> u64 {
        let config = RelayConfig::new().lease_ttl(Duration::from_secs(1));
        let relay = Relay::builder(self.store(), self.broker.publisher()).config(config);
        let report = relay
            .build()
            .unwrap()
            .drain(CancellationToken::new())
            .await
            .unwrap();
        report.delivered
    }

    pub(crate) fn pruner(&self, retention: Retention) -> Pruner<PostgresStore> {
        Pruner::new(self.store(), retention).unwrap()
    }

    /// Deletes whatever is settled.
    pub(crate) async fn prune(&self) -> Pruned {
        self.pruner(all()).run_once().await.unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(self.pool())
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn number(&self, of: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT {of}")))
            .fetch_one(self.pool())
            .await
            .unwrap_or_else(|error| panic!("{of}: {error}"))
    }

    pub(crate) async fn messages(&self) -> i64 {
        self.number("count(*) FROM outbox_messages").await
    }
}

/// Everything that is settled goes.
pub(crate) fn all() -> Retention {
    Retention::off().keep(Keep::UntilAcknowledged)
}

/// Inserts so many messages in one statement.
pub(crate) async fn insert(database: impl PgExecutor<'_>, count: i64) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', n::text, 'OrderPlacedV1', 'orders', to_json(n) FROM generate_series(1, {count}) AS n"
    );
    sqlx::query(AssertSqlSafe(insert))
        .execute(database)
        .await
        .expect("messages can be written");
}
