//! Emptying partitions and dropping them.
//!
//! `TRUNCATE` locks one partition alone, so that writers of others go on. `DROP` has to lock the whole log, against every
//! writer, so it gives up almost at once. A partition that could not be dropped is empty and costs next to nothing.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::sql::PartitionSql;
use super::{PostgresPruning, set_lock_timeout, unsigned};
use crate::Tables;
use crate::schema::{ADVISORY_LOCK, is_lock_timeout, owns_partitions};
use crate::store::postgres::connection::Connection;
use crate::store::{FullPartition, PartitionEnd, StoreError, StoreErrorKind};

/// How long the lock on one partition is waited for, in milliseconds. Readers of this partition wait behind it.
const PARTITION_LOCK: u32 = 100;

/// How long the lock on the log is waited for, in milliseconds. Everyone who writes waits behind it.
const LOG_LOCK: u32 = 50;

/// Emptying and dropping partitions is for their owner.
pub(super) async fn check_owner(connection: &mut Connection, tables: &Tables) -> Result<(), StoreError> {
    let owns = connection
        .run("looking who owns the partitions", async |pg| {
            owns_partitions(pg, tables).await
        })
        .await?;
    if owns {
        return Ok(());
    }
    let messages = tables.messages();
    Err(StoreError::new(
        StoreErrorKind::Configuration,
        format!(
            "the role does not own the partitions of {messages}, and only their owner can empty and drop them: make it a \
             member of the owning role, or the owner (`ALTER TABLE {messages} OWNER TO <role>`, and the same for each \
             partition), or switch retention off here and run `outbox prune` as the owner"
        ),
    ))
}

pub(super) async fn prune_partition(
    pruning: &mut PostgresPruning,
    partition: &FullPartition,
    older_than: Option<Duration>,
    dry_run: bool,
) -> Result<PartitionEnd, StoreError> {
    let sql = PartitionSql::new(&pruning.tables, &partition.name);
    let (highest, age) = (partition.below - 1, older_than.map(|age| age.as_secs_f64()));
    // Without a lock: most of the time the answer is no, and counting takes a while.
    let (may_go, count) = (sql.may_go.text(), sql.count.text());
    let found: Option<(bool, i64)> = pruning
        .connection
        .run("looking at a partition", async |pg| {
            let query = sqlx::query_as(may_go).bind(highest).bind(age);
            let (settled, has_rows, last_is_old): (bool, bool, bool) = query.fetch_one(&mut *pg).await?;
            if !settled || !last_is_old && age.is_some() {
                return Ok(None);
            }
            if !has_rows {
                return Ok(Some((true, 0)));
            }
            let query = sqlx::query_as(count).bind(age);
            let (messages, are_old): (i64, bool) = query.fetch_one(pg).await?;
            Ok((are_old || age.is_none()).then_some((messages == 0, messages)))
        })
        .await?;
    match found {
        None => Ok(PartitionEnd::Kept),
        Some((true, _)) => Ok(PartitionEnd::Empty),
        Some((false, messages)) => {
            let messages = unsigned(messages);
            match dry_run {
                true => Ok(PartitionEnd::Emptied { messages }),
                false => empty(pruning, &sql, highest, messages).await,
            }
        }
    }
}

/// Looks again under the lock: nobody has an open transaction on the partition, so all rows that will ever be visible are.
async fn empty(
    pruning: &mut PostgresPruning,
    sql: &PartitionSql,
    highest: i64,
    messages: u64,
) -> Result<PartitionEnd, StoreError> {
    let emptying = async |pg: &mut PgConnection| {
        set_lock_timeout(pg, PARTITION_LOCK).await?;
        let mut tried = pg.begin().await?;
        match sqlx::query(sql.lock.text()).execute(&mut *tried).await {
            Err(error) if is_lock_timeout(&error) => {
                tried.rollback().await?;
                return Ok(PartitionEnd::Busy);
            }
            locked => locked?,
        };
        let query = sqlx::query_scalar(sql.is_settled.text()).bind(highest);
        let settled: bool = query.fetch_one(&mut *tried).await?;
        let end = match settled {
            true => {
                sqlx::query(sql.truncate.text()).execute(&mut *tried).await?;
                PartitionEnd::Emptied { messages }
            }
            false => PartitionEnd::Kept,
        };
        tried.commit().await?;
        Ok(end)
    };
    pruning
        .holding_the_cursor("emptying a partition", super::LOCK_TIMEOUT, emptying)
        .await
}

pub(super) async fn drop_partition(
    connection: &mut Connection,
    sql: &PartitionSql,
) -> Result<bool, StoreError> {
    connection
        .run("dropping a partition", async |pg| {
            let mut tx = pg.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
            set_lock_timeout(&mut tx, LOG_LOCK).await?;
            // Nobody makes partitions or changes the tables meanwhile.
            let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
                .bind(ADVISORY_LOCK)
                .fetch_one(&mut *tx)
                .await?;
            if !alone {
                return tx.rollback().await.map(|()| false);
            }
            match sqlx::raw_sql(sql.lock_log.text()).execute(&mut *tx).await {
                Err(error) if is_lock_timeout(&error) => return tx.rollback().await.map(|()| false),
                locked => locked?,
            };
            // A writer that had its number when the partition was emptied may have come after that. None has one now:
            // each holds the log's lock from before it takes a number until its end.
            let empty: bool = sqlx::query_scalar(sql.is_empty.text())
                .fetch_one(&mut *tx)
                .await?;
            if empty {
                sqlx::query(sql.drop.text()).execute(&mut *tx).await?;
            }
            tx.commit().await.map(|()| empty)
        })
        .await
}
