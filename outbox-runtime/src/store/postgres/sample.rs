//! Samples of the log: the numbers that the relay's status has, and those of the tables.

use std::sync::Arc;
use std::time::Duration;

use super::PostgresStore;
use super::connection::Connection;
use super::sql::Sql;
use super::status::backlog;
use crate::Tables;
use crate::schema::partitions_ahead;
use crate::store::sample::{DeadLetterCount, LogSample, SampledStore, Sampling};
use crate::store::statement::Statement;
use crate::store::{StoreError, StoreErrorKind};

/// A connection that samples the log. While it lives, it may hold the lock of the one that does so.
pub struct PostgresSampling {
    connection: Connection,
    tables: Arc<Tables>,
    sql: Arc<Sql>,
    sample: SampleSql,
}

impl std::fmt::Debug for PostgresSampling {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PostgresSampling").finish_non_exhaustive()
    }
}

struct SampleSql {
    lease: Statement,
    dead_letters: Statement,
}

/// A lock of the session, which ends with the connection. Its number is the same for all who sample this log.
const LOCK: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('outbox sampler of ' || to_regclass($1)::oid::text, 0))";

/// How large the log is, and what VACUUM has to do. PostgreSQL knows both without reading the table.
const TABLE: &str = "
    SELECT sum(pg_total_relation_size(part.oid))::bigint, sum(pg_stat_get_dead_tuples(part.oid))::bigint
    FROM (SELECT to_regclass($1)::oid UNION ALL
          SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = to_regclass($1)) AS part(oid)";

/// Of transactions that have an id, which is: have written something. Whose sessions the role may not look at are left
/// out, except prepared ones.
const OLDEST_TRANSACTION: &str = "
    SELECT coalesce(extract(epoch FROM now() - min(since)), 0)::float8
    FROM (SELECT xact_start FROM pg_catalog.pg_stat_activity
          WHERE datname = current_database() AND backend_xid IS NOT NULL
          UNION ALL
          SELECT prepared FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()) AS running(since)";

impl SampleSql {
    fn new(tables: &Tables) -> Self {
        let (lease, dead_letters) = (tables.lease(), tables.dead_letters());
        Self {
            lease: Statement::new(format!(
                "SELECT coalesce(holder IS NOT NULL AND now() - renewed_at <= ttl_ms * interval '1 millisecond', false),
                        epoch FROM {lease}"
            )),
            dead_letters: Statement::new(format!(
                "SELECT topic, state, reason, count(*) FROM {dead_letters} GROUP BY topic, state, reason"
            )),
        }
    }
}

impl SampledStore for PostgresStore {
    type Sampling = PostgresSampling;

    async fn open_sampling(&self) -> Result<PostgresSampling, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        self.is_partitioned(&mut connection).await?;
        Ok(PostgresSampling {
            connection,
            tables: Arc::clone(&self.tables),
            sql: self.statements(),
            sample: SampleSql::new(&self.tables),
        })
    }
}

impl Sampling for PostgresSampling {
    async fn is_the_only_one(&mut self) -> Result<bool, StoreError> {
        let messages = self.tables.messages();
        let locked: Option<bool> = self
            .connection
            .run("asking whether another process samples the log", async |pg| {
                sqlx::query_scalar(LOCK).bind(messages).fetch_one(pg).await
            })
            .await?;
        locked.ok_or_else(|| {
            let what = format!(
                "there is no table {}: run `outbox migrate`",
                self.tables.messages()
            );
            StoreError::new(StoreErrorKind::Schema, what)
        })
    }

    async fn sample(&mut self) -> Result<LogSample, StoreError> {
        let messages = self.tables.messages();
        let backlog = backlog(&mut self.connection, &self.sql, &self.tables).await?;
        let (lease, dead_letters) = (self.sample.lease.text(), self.sample.dead_letters.text());
        let tables = &self.tables;
        type Numbers = (
            Option<(bool, i64)>,
            Vec<(String, String, String, i64)>,
            (Option<i64>, Option<i64>),
            f64,
            Option<u64>,
        );
        let numbers: Numbers = self
            .connection
            .run("sampling the log", async |pg| {
                Ok((
                    sqlx::query_as(lease).fetch_optional(&mut *pg).await?,
                    sqlx::query_as(dead_letters).fetch_all(&mut *pg).await?,
                    sqlx::query_as(TABLE).bind(messages).fetch_one(&mut *pg).await?,
                    sqlx::query_scalar(OLDEST_TRANSACTION).fetch_one(&mut *pg).await?,
                    partitions_ahead(pg, tables).await?,
                ))
            })
            .await?;
        let (lease, dead_letters, (bytes, dead), oldest, partitions_ahead) = numbers;
        let (lease_held, lease_epoch) = lease.ok_or_else(|| StoreError::lost_lease(tables))?;
        Ok(LogSample {
            backlog,
            lease_held,
            lease_epoch,
            dead_letters: dead_letters.into_iter().map(DeadLetterCount::from).collect(),
            table_bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            dead_tuples: dead.and_then(|rows| u64::try_from(rows).ok()),
            partitions_ahead,
            oldest_transaction: Some(Duration::try_from_secs_f64(oldest).unwrap_or_default()),
        })
    }
}
