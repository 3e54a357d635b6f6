//! Follows the log beside the relays: by `seq`, which is the order of commits.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::decode::{push, push_unreadable};
use super::sql::Sql;
use crate::Tables;
use crate::record::RecordPage;
use crate::store::unreadable::Unreadable;
use crate::store::{PageLimit, StoreError, TailFrom};

/// The place up to which a log was followed.
pub(crate) struct SqliteTail {
    pool: SqlitePool,
    sql: Arc<Sql>,
    tables: Tables,
    read_to: i64,
}

impl SqliteTail {
    pub(super) async fn open(
        pool: SqlitePool,
        tables: &Tables,
        sql: Arc<Sql>,
        from: TailFrom,
    ) -> Result<Self, StoreError> {
        let read_to = match from.behind() {
            Some(seq) => seq,
            None => sqlx::query_scalar(sql.last_number.text())
                .fetch_one(&pool)
                .await
                .map_err(StoreError::while_doing("looking at the last number"))?,
        };
        let tables = tables.clone();
        Ok(Self {
            pool,
            sql,
            tables,
            read_to,
        })
    }

    /// The next messages; `None` if there are none now.
    pub(crate) async fn next_page(&mut self, limit: PageLimit) -> Result<Option<RecordPage>, StoreError> {
        let failed = |error| StoreError::while_doing("reading a page")(error);
        let mut page = RecordPage::new(0, limit.rows.min(1024));
        let mut unreadable = Unreadable::default();
        let mut rows = sqlx::query(self.sql.page.text())
            .bind(self.read_to)
            .bind(i64::try_from(limit.rows).unwrap_or(i64::MAX))
            .fetch(&self.pool);
        while page.size() < limit.bytes {
            let Some(row) = rows.try_next().await.map_err(failed)? else {
                break;
            };
            match push(&mut page, &row) {
                Ok(()) => {}
                Err(error) => push_unreadable(&mut page, &row, &error, &mut unreadable).map_err(failed)?,
            }
        }
        drop(rows);
        let Some(last) = page.last_seq() else {
            return Ok(None);
        };
        self.read_to = last;
        Ok(Some(page))
    }

    /// The aggregates' types of these rows, which follow each other, by seq.
    pub(crate) async fn aggregate_types(&self, rows: &[i64]) -> Result<HashMap<i64, String>, StoreError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(HashMap::new());
        };
        let text = format!(
            "SELECT seq, aggregate_type FROM {} WHERE seq BETWEEN $1 AND $2",
            self.tables.messages()
        );
        let found: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(text))
            .bind(first)
            .bind(last)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing("reading the types of aggregates"))?;
        Ok(found.into_iter().collect())
    }
}
