//! The lease row in SQLite.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use uuid::Uuid;

use super::sql::Sql;
use crate::Tables;
use crate::store::{Claim, Fence, Lease, LeaseRow, StoreError, StoreErrorKind};

/// What keeps the lease.
pub struct SqliteLease {
    pool: SqlitePool,
    tables: Arc<Tables>,
    sql: Arc<Sql>,
}

impl SqliteLease {
    pub(super) fn new(pool: SqlitePool, tables: Arc<Tables>, sql: Arc<Sql>) -> Self {
        Self { pool, tables, sql }
    }
}

impl Lease for SqliteLease {
    async fn read(&mut self) -> Result<LeaseRow, StoreError> {
        let row: Option<(i64, Option<String>, i64, i64)> = sqlx::query_as(self.sql.read_lease.text())
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing("reading the lease"))?;
        let (epoch, token, renewals, ttl_ms) = row.ok_or_else(|| StoreError::lost_lease(&self.tables))?;
        let token = token
            .map(|token| token.parse::<Uuid>())
            .transpose()
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Unavailable, "reading the lease").with_source(error)
            })?;
        Ok(LeaseRow {
            epoch,
            token,
            renewals,
            ttl: Duration::from_millis(ttl_ms.max(0).unsigned_abs()),
        })
    }

    async fn take(&mut self, seen: &LeaseRow, claim: &Claim) -> Result<Option<Fence>, StoreError> {
        let epoch: Option<i64> = sqlx::query_scalar(self.sql.take_lease.text())
            .bind(&claim.holder)
            .bind(claim.token.to_string())
            .bind(i64::try_from(claim.ttl.as_millis()).unwrap_or(i64::MAX))
            .bind(seen.epoch)
            .bind(seen.token.map(|token| token.to_string()))
            .bind(seen.renewals)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing("taking the lease"))?;
        Ok(epoch.map(|epoch| Fence {
            epoch,
            token: claim.token,
        }))
    }

    async fn renew(&mut self, fence: Fence) -> Result<bool, StoreError> {
        let renewed = sqlx::query(self.sql.renew_lease.text())
            .bind(fence.epoch)
            .bind(fence.token.to_string())
            .execute(&self.pool)
            .await
            .map_err(StoreError::while_doing("renewing the lease"))?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn outlived(&mut self, fence: Fence) -> Result<(), StoreError> {
        sqlx::query(self.sql.outlived.text())
            .bind(fence.epoch)
            .execute(&self.pool)
            .await
            .map_err(StoreError::while_doing("noting that a term was outlived"))?;
        Ok(())
    }

    async fn release(&mut self, fence: Fence) -> Result<(), StoreError> {
        sqlx::query(self.sql.release_lease.text())
            .bind(fence.epoch)
            .bind(fence.token.to_string())
            .execute(&self.pool)
            .await
            .map_err(StoreError::while_doing("releasing the lease"))?;
        Ok(())
    }

    async fn wake_active(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
