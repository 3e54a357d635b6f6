//! Follows the log beside the relays.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::connection::Connection;
use super::reader::PostgresReader;
use super::sql::Sql;
use super::watch::Watch;
use crate::Tables;
use crate::record::RecordPage;
use crate::store::{PageLimit, Reader as _, StoreError, TailFrom};

/// The connection that follows a log.
pub(crate) struct PostgresTail {
    reader: PostgresReader,
}

impl PostgresTail {
    pub(super) async fn open(
        connection: Connection,
        sql: Arc<Sql>,
        tables: &Tables,
        watch: Watch,
        from: TailFrom,
    ) -> Result<Self, StoreError> {
        let reader = PostgresReader::without_lease(connection, sql, tables, watch, from.behind()).await?;
        Ok(Self { reader })
    }

    /// The next messages; `None` if there are none now.
    pub(crate) async fn next_page(&mut self, limit: PageLimit) -> Result<Option<RecordPage>, StoreError> {
        let page = self.reader.next_page(limit).await?;
        if let Some(page) = &page {
            self.reader.pass_over(page);
        }
        Ok(page)
    }

    /// The aggregates' types of these rows, by seq.
    pub(crate) async fn aggregate_types(&mut self, rows: &[i64]) -> Result<HashMap<i64, String>, StoreError> {
        let text = format!(
            "SELECT m.seq, m.aggregate_type FROM unnest($1::bigint[]) AS wanted(seq)
             JOIN {} m ON m.seq = wanted.seq",
            self.reader.tables.messages()
        );
        let found: Vec<(i64, String)> = self
            .reader
            .connection
            .run("reading the types of aggregates", async |pg| {
                sqlx::query_as(AssertSqlSafe(text)).bind(rows).fetch_all(pg).await
            })
            .await?;
        Ok(found.into_iter().collect())
    }
}
