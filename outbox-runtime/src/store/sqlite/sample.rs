//! Samples of the log. The processes of a file do not know of each other, so each takes its own.

use sqlx::{AssertSqlSafe, SqlitePool};

use super::SqliteStore;
use crate::store::sample::{DeadLetterCount, LogSample, SampledStore, Sampling};
use crate::store::{Store as _, StoreError};

/// Samples the log of a SQLite database, on connections of the pool.
#[derive(Debug)]
pub struct SqliteSampling {
    store: SqliteStore,
}

impl SampledStore for SqliteStore {
    type Sampling = SqliteSampling;

    async fn open_sampling(&self) -> Result<SqliteSampling, StoreError> {
        Ok(SqliteSampling { store: self.clone() })
    }
}

impl Sampling for SqliteSampling {
    async fn is_the_only_one(&mut self) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn sample(&mut self) -> Result<LogSample, StoreError> {
        let status = self.store.status().await?;
        let (lease, dead_letters) = (self.store.tables.lease(), self.store.tables.dead_letters());
        let doing = "sampling the log";
        let numbers = numbers(&self.store.pool, &lease, &dead_letters).await;
        let (lease_epoch, dead_letters, bytes) = numbers.map_err(StoreError::while_doing(doing))?;
        Ok(LogSample {
            backlog: status.backlog,
            lease_held: status.lease.is_some(),
            lease_epoch,
            dead_letters,
            table_bytes: u64::try_from(bytes).ok(),
            dead_tuples: None,
            partitions_ahead: None,
            oldest_transaction: None,
        })
    }
}

async fn numbers(
    pool: &SqlitePool,
    lease: &str,
    dead_letters: &str,
) -> sqlx::Result<(i64, Vec<DeadLetterCount>, i64)> {
    let epoch = AssertSqlSafe(format!("SELECT epoch FROM {lease}"));
    let counts =
        format!("SELECT topic, state, reason, count(*) FROM {dead_letters} GROUP BY topic, state, reason");
    let counts: Vec<(String, String, String, i64)> =
        sqlx::query_as(AssertSqlSafe(counts)).fetch_all(pool).await?;
    let bytes = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    Ok((
        sqlx::query_scalar(epoch).fetch_one(pool).await?,
        counts.into_iter().map(DeadLetterCount::from).collect(),
        sqlx::query_scalar(bytes).fetch_one(pool).await?,
    ))
}
