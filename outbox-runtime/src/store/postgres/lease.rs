//! The lease row in PostgreSQL, on a connection of its own: a long read must not delay a renewal.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::connection::Connection;
use super::sql::Sql;
use crate::Tables;
use crate::store::{Claim, Fence, Lease, LeaseRow, StoreError};

/// The connection that keeps the lease.
pub struct PostgresLease {
    connection: Connection,
    tables: Arc<Tables>,
    sql: Arc<Sql>,
    channel: Arc<str>,
}

impl PostgresLease {
    pub(super) fn new(connection: Connection, tables: Arc<Tables>, sql: Arc<Sql>, channel: Arc<str>) -> Self {
        Self {
            connection,
            tables,
            sql,
            channel,
        }
    }
}

impl Lease for PostgresLease {
    async fn read(&mut self) -> Result<LeaseRow, StoreError> {
        let sql = self.sql.read_lease.text();
        let row: Option<(i64, Option<Uuid>, i64, i64)> = self
            .connection
            .run("reading the lease", async |pg| {
                sqlx::query_as(sql).fetch_optional(pg).await
            })
            .await?;
        let (epoch, token, renewals, ttl_ms) = row.ok_or_else(|| StoreError::lost_lease(&self.tables))?;
        Ok(LeaseRow {
            epoch,
            token,
            renewals,
            ttl: Duration::from_millis(ttl_ms.max(0).unsigned_abs()),
        })
    }

    async fn take(&mut self, seen: &LeaseRow, claim: &Claim) -> Result<Option<Fence>, StoreError> {
        let sql = self.sql.take_lease.text();
        let ttl_ms = i64::try_from(claim.ttl.as_millis()).unwrap_or(i64::MAX);
        let epoch: Option<i64> = self
            .connection
            .run("taking the lease", async |pg| {
                sqlx::query_scalar(sql)
                    .bind(&claim.holder)
                    .bind(claim.token)
                    .bind(ttl_ms)
                    .bind(seen.epoch)
                    .bind(seen.token)
                    .bind(seen.renewals)
                    .fetch_optional(pg)
                    .await
            })
            .await?;
        Ok(epoch.map(|epoch| Fence {
            epoch,
            token: claim.token,
        }))
    }

    async fn renew(&mut self, fence: Fence) -> Result<bool, StoreError> {
        let sql = self.sql.renew_lease.text();
        let renewed = self
            .connection
            .run("renewing the lease", async |pg| {
                sqlx::query(sql)
                    .bind(fence.epoch)
                    .bind(fence.token)
                    .execute(pg)
                    .await
            })
            .await?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn outlived(&mut self, fence: Fence) -> Result<(), StoreError> {
        let sql = self.sql.outlived.text();
        self.connection
            .run("noting that a term was outlived", async |pg| {
                sqlx::query(sql).bind(fence.epoch).execute(pg).await
            })
            .await?;
        Ok(())
    }

    async fn release(&mut self, fence: Fence) -> Result<(), StoreError> {
        let sql = self.sql.release_lease.text();
        self.connection
            .run("releasing the lease", async |pg| {
                sqlx::query(sql)
                    .bind(fence.epoch)
                    .bind(fence.token)
                    .execute(pg)
                    .await
            })
            .await?;
        Ok(())
    }

    async fn wake_active(&mut self) -> Result<(), StoreError> {
        let channel = Arc::clone(&self.channel);
        self.connection
            .run("waking the active relay", async |pg| {
                sqlx::query("SELECT pg_notify($1, '')")
                    .bind(channel.as_ref())
                    .execute(pg)
                    .await
            })
            .await?;
        Ok(())
    }
}
