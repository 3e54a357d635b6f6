//! The databases whose outbox can be looked at.

use std::future::Future;
use std::time::Duration;

use crate::store::{Observation, StoreError};
use crate::{OutboxDatabase, Tables};

/// A database whose outbox can be checked: `sqlx::Postgres` and `sqlx::Sqlite`. Its methods are not part of
/// the public API.
pub trait HealthDatabase: OutboxDatabase + Sized {
    #[doc(hidden)]
    fn observe(
        pool: &sqlx::Pool<Self>,
        tables: &Tables,
        patience: Duration,
    ) -> impl Future<Output = Result<Observation, StoreError>> + Send;

    /// Whether a connection of the pool answers.
    #[doc(hidden)]
    fn ping(pool: &sqlx::Pool<Self>) -> impl Future<Output = sqlx::Result<()>> + Send;
}

#[cfg(feature = "postgres")]
impl HealthDatabase for sqlx::Postgres {
    async fn observe(
        pool: &sqlx::PgPool,
        tables: &Tables,
        patience: Duration,
    ) -> Result<Observation, StoreError> {
        let store = crate::PostgresStore::new(pool)
            .tables(tables)
            .statement_timeout(patience);
        store.observe().await
    }

    async fn ping(pool: &sqlx::PgPool) -> sqlx::Result<()> {
        sqlx::query("SELECT 1")
            .persistent(false)
            .execute(pool)
            .await
            .map(drop)
    }
}

#[cfg(feature = "sqlite")]
impl HealthDatabase for sqlx::Sqlite {
    async fn observe(
        pool: &sqlx::SqlitePool,
        tables: &Tables,
        _patience: Duration,
    ) -> Result<Observation, StoreError> {
        crate::SqliteStore::new(pool).tables(tables).observe().await
    }

    async fn ping(pool: &sqlx::SqlitePool) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(pool).await.map(drop)
    }
}
