//! The databases whose messages can be looked for.

use std::future::Future;

use crate::store::{Inspect, Inspection, StoreError};
use crate::{OutboxDatabase, Tables};

/// A database in which messages can be searched: `sqlx::Postgres` and `sqlx::Sqlite`. Its methods are not
/// part of the public API.
pub trait InspectDatabase: OutboxDatabase + Sized {
    #[doc(hidden)]
    fn inspect(
        pool: &sqlx::Pool<Self>,
        tables: &Tables,
        wanted: &Inspect,
    ) -> impl Future<Output = Result<Inspection, StoreError>> + Send;
}

#[cfg(feature = "postgres")]
impl InspectDatabase for sqlx::Postgres {
    async fn inspect(
        pool: &sqlx::PgPool,
        tables: &Tables,
        wanted: &Inspect,
    ) -> Result<Inspection, StoreError> {
        crate::PostgresStore::new(pool)
            .tables(tables)
            .inspect(wanted)
            .await
    }
}

#[cfg(feature = "sqlite")]
impl InspectDatabase for sqlx::Sqlite {
    async fn inspect(
        pool: &sqlx::SqlitePool,
        tables: &Tables,
        wanted: &Inspect,
    ) -> Result<Inspection, StoreError> {
        crate::SqliteStore::new(pool).tables(tables).inspect(wanted).await
    }
}
