//! Deletes what the cursor has passed. One writer at a time commits, so all up to the cursor is settled, and nothing moves
//! the cursor inside of the transaction that deletes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use super::reader::numbers_went_back;
use super::sql::Sql;
use crate::Tables;
use crate::store::statement::Statement;
use crate::store::{FullPartition, PartitionEnd, Piece, PrunedPiece, Pruning, StoreError, StoredAs, Weighed};

/// Pages that are given back at a time: others wait for each transaction.
const PAGES: u32 = 256;

/// The value of `PRAGMA auto_vacuum` at which pages can be given back in small steps.
const INCREMENTAL: i64 = 2;

/// What a message takes, with the row's and index entries' own bytes.
const BYTES: &str =
    "100 + coalesce(length(CAST(m.payload AS BLOB)), 0) + coalesce(length(m.payload_binary), 0)
    + length(CAST(m.headers AS BLOB)) + length(m.aggregate_type) + length(m.aggregate_id)
    + length(m.event_type) + length(m.topic)";

pub(super) struct SqlitePruning {
    pool: SqlitePool,
    tables: Tables,
    sql: Arc<Sql>,
    cursor: Statement,
    look: Statement,
    delete: Statement,
    weigh: Statement,
    old_dead_letters: Statement,
    delete_dead_letters: Statement,
}

impl SqlitePruning {
    pub(super) fn new(pool: SqlitePool, tables: &Tables, sql: Arc<Sql>) -> Self {
        let (messages, cursor) = (tables.messages(), tables.cursor());
        let dead_letters = tables.dead_letters();
        let put = Statement::new;
        Self {
            pool,
            tables: tables.clone(),
            sql,
            cursor: put(format!("SELECT high FROM {cursor}")),
            look: put(format!(
                "SELECT m.seq, $3 IS NULL OR julianday(m.occurred_at) < julianday('now') - $3 / 86400.0,
                        CASE WHEN $4 THEN {BYTES} ELSE 0 END
                 FROM {messages} m WHERE m.seq > $1 AND m.seq <= (SELECT high FROM {cursor}) ORDER BY m.seq LIMIT $2"
            )),
            delete: put(format!(
                "DELETE FROM {messages} WHERE seq IN (SELECT value FROM json_each($1))
                   AND seq <= (SELECT high FROM {cursor})"
            )),
            weigh: put(format!(
                "SELECT max(seq), coalesce(sum(bytes), 0) FROM (
                   SELECT m.seq AS seq, {BYTES} AS bytes FROM {messages} m WHERE m.seq > $1 ORDER BY m.seq LIMIT $2)"
            )),
            old_dead_letters: put(format!(
                "SELECT seq, id, topic, event_type, reason FROM {dead_letters} d
                 WHERE state = 'dead' AND replay_requested_at IS NULL
                   AND julianday(last_failed_at) < julianday('now') - $1 / 86400.0
                   AND NOT EXISTS (SELECT 1 FROM {dead_letters} p
                     WHERE p.topic = d.topic AND p.aggregate_id = d.aggregate_id AND p.state = 'parked')
                 ORDER BY position LIMIT $2"
            )),
            delete_dead_letters: put(format!("DELETE FROM {dead_letters} WHERE seq = $1 AND id = $2")),
        }
    }

    async fn piece(&self, piece: Piece) -> Result<PrunedPiece, StoreError> {
        let done = async {
            let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let last: i64 = sqlx::query_scalar(self.sql.last_number.text())
                .fetch_one(&mut *tx)
                .await?;
            let query = sqlx::query_scalar(self.cursor.text());
            let cursor: Option<i64> = query.fetch_optional(&mut *tx).await?;
            let wrong = match cursor {
                None => Some(StoreError::lost_cursor(&self.tables)),
                // Messages that look delivered may be new.
                Some(cursor) if last < cursor => Some(numbers_went_back(&self.tables, last, cursor)),
                Some(_) => None,
            };
            if let Some(wrong) = wrong {
                return tx.rollback().await.map(|()| Err(wrong));
            }
            let rows = sqlx::query(self.look.text())
                .bind(piece.after)
                .bind(piece.rows)
                .bind(piece.older_than.map(|age| age.as_secs_f64()))
                .bind(piece.weighed)
                .fetch_all(&mut *tx)
                .await?;
            let mut pruned = PrunedPiece::default();
            let mut seqs: Vec<i64> = Vec::new();
            for row in rows {
                let seq = row.try_get(0)?;
                pruned.last_looked_at = Some(seq);
                if row.try_get(1)? {
                    seqs.push(seq);
                    pruned.bytes += row.try_get::<i64, _>(2)?.max(0).unsigned_abs();
                }
            }
            (pruned.deleted, pruned.last_deleted) = (seqs.len() as u64, seqs.last().copied());
            if piece.dry_run || seqs.is_empty() {
                return tx.rollback().await.map(|()| Ok(pruned));
            }
            let listed: Vec<String> = seqs.iter().map(i64::to_string).collect();
            sqlx::query(self.delete.text())
                .bind(format!("[{}]", listed.join(",")))
                .execute(&mut *tx)
                .await?;
            tx.commit().await.map(|()| Ok(pruned))
        };
        done.await
            .map_err(StoreError::while_doing("deleting delivered messages"))?
    }

    async fn prune_old_dead_letters(
        &self,
        older_than: Duration,
        rows: u32,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        type DeadLetterRow = (i64, String, String, String, String);
        let done = async {
            let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let old: Vec<DeadLetterRow> = sqlx::query_as(self.old_dead_letters.text())
                .bind(older_than.as_secs_f64())
                .bind(rows)
                .fetch_all(&mut *tx)
                .await?;
            if dry_run {
                return tx.rollback().await.map(|()| old);
            }
            for (seq, id, ..) in &old {
                let delete = sqlx::query(self.delete_dead_letters.text()).bind(seq).bind(id);
                delete.execute(&mut *tx).await?;
            }
            tx.commit().await.map(|()| old)
        };
        let old = done
            .await
            .map_err(StoreError::while_doing("deleting old dead letters"))?;
        if !dry_run {
            for (seq, id, topic, event_type, reason) in &old {
                tracing::info!(
                    id,
                    seq,
                    topic,
                    event_type,
                    reason,
                    "deleted a dead letter: it was older than the limit"
                );
            }
        }
        Ok(old.len() as u64)
    }

    async fn vacuum(&self) -> Result<(), StoreError> {
        let schema = self.tables.schema().map(|schema| format!("\"{schema}\"."));
        let schema = schema.unwrap_or_default();
        let done = async {
            let mut connection = self.pool.acquire().await?;
            let ask = AssertSqlSafe(format!("PRAGMA {schema}auto_vacuum"));
            let mode: i64 = sqlx::query_scalar(ask).fetch_one(&mut *connection).await?;
            if mode == INCREMENTAL {
                let give = AssertSqlSafe(format!("PRAGMA {schema}incremental_vacuum({PAGES})"));
                sqlx::raw_sql(give).execute(&mut *connection).await?;
            }
            Ok(())
        };
        done.await
            .map_err(StoreError::while_doing("giving space back to the file system"))
    }
}

impl Pruning for SqlitePruning {
    fn layout(&mut self) -> BoxFuture<'_, Result<StoredAs, StoreError>> {
        Box::pin(std::future::ready(Ok(StoredAs::Table)))
    }

    fn prune(&mut self, piece: Piece) -> BoxFuture<'_, Result<PrunedPiece, StoreError>> {
        Box::pin(self.piece(piece))
    }

    fn weigh(&mut self, after: i64, rows: u32) -> BoxFuture<'_, Result<Weighed, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query_as(self.weigh.text()).bind(after).bind(rows);
            let weighed: (Option<i64>, i64) = query
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::while_doing("weighing messages"))?;
            Ok(Weighed {
                last: weighed.0,
                bytes: weighed.1.max(0).unsigned_abs(),
            })
        })
    }

    /// There are none.
    fn prune_partition<'a>(
        &'a mut self,
        _: &'a FullPartition,
        _: Option<Duration>,
        _: bool,
    ) -> BoxFuture<'a, Result<PartitionEnd, StoreError>> {
        Box::pin(std::future::ready(Ok(PartitionEnd::Kept)))
    }

    fn drop_partition<'a>(&'a mut self, _: &'a FullPartition) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(false)))
    }

    fn prune_dead_letters(
        &mut self,
        older_than: Duration,
        rows: u32,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.prune_old_dead_letters(older_than, rows, dry_run))
    }

    fn give_space_back(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.vacuum())
    }
}
