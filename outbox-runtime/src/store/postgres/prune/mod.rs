//! Deletes what the cursor has passed.
//!
//! Each deletion is a transaction that first locks the cursor's row against `adopt` and `fork`, the only ones that move it
//! back, and then decides by the row as it is now, in a statement whose snapshot was taken after the lock. So it does not
//! matter how old the caller's knowledge is. The triggers that keep undelivered messages look once more.

mod partition;
mod sql;

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use self::partition::{drop_partition, prune_partition};
use self::sql::{PartitionSql, Sql};
use super::claim::{Origin, elsewhere};
use super::connection::Connection;
use super::home::{Home, HomeSql};
use super::options::Options;
use crate::Tables;
use crate::schema::{Role, full_partitions};
use crate::store::{FullPartition, PartitionEnd, Piece, PrunedPiece, Pruning, StoreError, StoredAs, Weighed};

/// How long a deletion waits for a lock, in milliseconds: a session that waits also holds up those that come after it.
const LOCK_TIMEOUT: u32 = 2_000;

/// A connection that deletes.
pub(super) struct PostgresPruning {
    connection: Connection,
    home: Home,
    sql: Sql,
    tables: Tables,
    partitioned: bool,
}

/// Whether the cursor can be gone by. It stays as it is, or goes forward, until the transaction ends.
enum Held {
    Here,
    Elsewhere,
    Lost,
}

impl PostgresPruning {
    pub(super) async fn open(
        options: &Options,
        tables: &Tables,
        partitioned: impl AsyncFnOnce(&mut Connection) -> Result<bool, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut connection = Connection::open(options).await?;
        connection.check_rights(tables, Role::Pruner).await?;
        // The relay logs its warnings.
        connection.check_schema(tables).await?;
        let partitioned = partitioned(&mut connection).await?;
        if partitioned {
            partition::check_owner(&mut connection, tables).await?;
        }
        let home_sql = HomeSql::new(tables);
        let home = connection
            .run("finding out which database this is", async |pg| {
                Home::ask(pg, &home_sql).await
            })
            .await?;
        Ok(Self {
            connection,
            home,
            sql: Sql::new(tables),
            tables: tables.clone(),
            partitioned,
        })
    }

    /// Runs `work` in a transaction that holds the cursor.
    async fn holding_the_cursor<T>(
        &mut self,
        doing: &'static str,
        lock_timeout: u32,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        let (sql, home) = (&self.sql, &self.home);
        let done = self
            .connection
            .run(doing, async |pg| {
                let mut tx = pg.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
                set_lock_timeout(&mut tx, lock_timeout).await?;
                match hold_cursor(&mut tx, sql, home).await? {
                    Held::Here => {
                        let done = work(&mut tx).await?;
                        tx.commit().await?;
                        Ok(Ok(done))
                    }
                    not_here => tx.rollback().await.map(|()| Err(not_here)),
                }
            })
            .await?;
        done.map_err(|held| match held {
            Held::Lost => StoreError::lost_cursor(&self.tables),
            Held::Elsewhere | Held::Here => elsewhere(&self.tables),
        })
    }

    async fn piece(&mut self, piece: Piece) -> Result<PrunedPiece, StoreError> {
        let text = match piece.dry_run {
            true => self.sql.would_prune.text(),
            false => self.sql.prune.text(),
        };
        self.holding_the_cursor("deleting delivered messages", LOCK_TIMEOUT, async |pg| {
            let row = sqlx::query(text)
                .bind(piece.after)
                .bind(i64::from(piece.rows))
                .bind(piece.older_than.map(|age| age.as_secs_f64()))
                .bind(piece.weighed)
                .fetch_one(pg)
                .await?;
            Ok(PrunedPiece {
                last_looked_at: row.try_get(0)?,
                last_deleted: row.try_get(1)?,
                deleted: unsigned(row.try_get(2)?),
                bytes: unsigned(row.try_get(3)?),
            })
        })
        .await
    }

    async fn old_dead_letters(
        &mut self,
        older_than: Duration,
        rows: u32,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let (prune, count) = (
            self.sql.prune_dead_letters.text(),
            self.sql.would_prune_dead_letters.text(),
        );
        let (seconds, rows) = (older_than.as_secs_f64(), i64::from(rows));
        self.connection
            .run("deleting old dead letters", async |pg| {
                if dry_run {
                    let query = sqlx::query_scalar(count).bind(seconds).bind(rows);
                    return query.fetch_one(pg).await.map(unsigned);
                }
                type DeadLetterRow = (Uuid, i64, String, String, String);
                let query = sqlx::query_as(prune).bind(seconds).bind(rows);
                let gone: Vec<DeadLetterRow> = query.fetch_all(pg).await?;
                for (id, seq, topic, event_type, reason) in &gone {
                    tracing::info!(%id, seq, topic, event_type, reason, "deleted a dead letter: it was older than the limit");
                }
                Ok(gone.len() as u64)
            })
            .await
    }

    async fn stored_as(&mut self) -> Result<StoredAs, StoreError> {
        if !self.partitioned {
            return Ok(StoredAs::Table);
        }
        let tables = &self.tables;
        let (full, bytes) = self
            .connection
            .run("looking at the partitions", async |pg| {
                full_partitions(pg, tables).await
            })
            .await?;
        let full = full
            .into_iter()
            .map(|(name, below, bytes)| FullPartition {
                name,
                below,
                bytes: unsigned(bytes),
            })
            .collect();
        Ok(StoredAs::Partitions {
            full,
            bytes: unsigned(bytes),
        })
    }
}

async fn set_lock_timeout(pg: &mut PgConnection, milliseconds: u32) -> sqlx::Result<()> {
    sqlx::query("SELECT set_config('lock_timeout', $1, true)")
        .bind(milliseconds.to_string())
        .execute(pg)
        .await
        .map(drop)
}

async fn hold_cursor(pg: &mut PgConnection, sql: &Sql, home: &Home) -> sqlx::Result<Held> {
    let Some(row) = sqlx::query(sql.hold_cursor.text()).fetch_optional(pg).await? else {
        return Ok(Held::Lost);
    };
    let origin = Origin {
        system_identifier: row.try_get(0)?,
        database_oid: row.try_get(1)?,
        table_oid: row.try_get(2)?,
        timeline: row.try_get(3)?,
    };
    // The table may have been exchanged since the connection began.
    let here = Home {
        table_oid: row.try_get(4)?,
        ..home.clone()
    };
    let from_the_future: bool = row.try_get(5)?;
    Ok(match from_the_future || origin.is_elsewhere(&here) {
        true => Held::Elsewhere,
        false => Held::Here,
    })
}

fn unsigned(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

impl Pruning for PostgresPruning {
    fn layout(&mut self) -> BoxFuture<'_, Result<StoredAs, StoreError>> {
        Box::pin(self.stored_as())
    }

    fn prune(&mut self, piece: Piece) -> BoxFuture<'_, Result<PrunedPiece, StoreError>> {
        Box::pin(self.piece(piece))
    }

    fn weigh(&mut self, after: i64, rows: u32) -> BoxFuture<'_, Result<Weighed, StoreError>> {
        let text = self.sql.weigh.text();
        Box::pin(async move {
            let (last, bytes): (Option<i64>, i64) = self
                .connection
                .run("weighing messages", async |pg| {
                    let query = sqlx::query_as(text).bind(after).bind(i64::from(rows));
                    query.fetch_one(pg).await
                })
                .await?;
            let bytes = unsigned(bytes);
            Ok(Weighed { last, bytes })
        })
    }

    fn prune_partition<'a>(
        &'a mut self,
        partition: &'a FullPartition,
        older_than: Option<Duration>,
        dry_run: bool,
    ) -> BoxFuture<'a, Result<PartitionEnd, StoreError>> {
        Box::pin(prune_partition(self, partition, older_than, dry_run))
    }

    fn drop_partition<'a>(
        &'a mut self,
        partition: &'a FullPartition,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let sql = PartitionSql::new(&self.tables, &partition.name);
        Box::pin(async move { drop_partition(&mut self.connection, &sql).await })
    }

    fn prune_dead_letters(
        &mut self,
        older_than: Duration,
        rows: u32,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.old_dead_letters(older_than, rows, dry_run))
    }

    /// A table's file shrinks when autovacuum finds its end empty; partitions give all of it back.
    fn give_space_back(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
