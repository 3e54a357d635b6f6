//! The databases whose log can be followed.

use std::future::Future;

use super::LogTail;
use crate::store::{StoreError, TailFrom};
use crate::{OutboxDatabase, Tables};

/// A database whose log can be followed: `sqlx::Postgres` and `sqlx::Sqlite`. Its methods are not part of the public
/// API.
pub trait TailDatabase: OutboxDatabase + Sized {
    #[doc(hidden)]
    fn tail(
        pool: &sqlx::Pool<Self>,
        tables: &Tables,
        from: TailFrom,
    ) -> impl Future<Output = Result<LogTail, StoreError>> + Send;
}

#[cfg(feature = "postgres")]
impl TailDatabase for sqlx::Postgres {
    async fn tail(pool: &sqlx::PgPool, tables: &Tables, from: TailFrom) -> Result<LogTail, StoreError> {
        let store = crate::PostgresStore::new(pool).tables(tables);
        store.tail(from).await.map(LogTail::postgres)
    }
}

#[cfg(feature = "sqlite")]
impl TailDatabase for sqlx::Sqlite {
    async fn tail(pool: &sqlx::SqlitePool, tables: &Tables, from: TailFrom) -> Result<LogTail, StoreError> {
        let store = crate::SqliteStore::new(pool).tables(tables);
        store.tail(from).await.map(LogTail::sqlite)
    }
}
