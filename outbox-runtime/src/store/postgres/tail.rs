//! Follows the log beside the relays: a reader that holds no lease, claims no cursor and writes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::connection::Connection;
use super::floor::Floor;
use super::home::Home;
use super::late::LateSearches;
use super::progress::{CursorRow, Progress};
use super::reader::{PostgresReader, WriteFence};
use super::sql::Sql;
use super::watch::Watch;
use super::window::Edge;
use crate::Tables;
use crate::record::RecordPage;
use crate::store::unreadable::Unreadable;
use crate::store::{Fence, Mark, PageLimit, Reader as _, StoreError, TailFrom};

/// The connection that follows a log.
pub(crate) struct PostgresTail {
    reader: PostgresReader,
}

impl PostgresTail {
    pub(super) async fn open(
        mut connection: Connection,
        sql: Arc<Sql>,
        tables: &Tables,
        watch: Watch,
        from: TailFrom,
    ) -> Result<Self, StoreError> {
        let home = connection
            .run("finding out which database this is", async |pg| {
                Home::ask(pg, &sql.home).await
            })
            .await?;
        let nobody = Fence {
            epoch: 0,
            token: Uuid::nil(),
        };
        let mut reader = PostgresReader {
            connection,
            sql,
            writes: WriteFence {
                epoch: nobody.epoch,
                reader: nobody.token,
            },
            lease: nobody,
            home,
            progress: Progress::resume(beginning()),
            may_repeat: 0,
            floor: Floor::default(),
            searches: LateSearches::default(),
            watch,
            sequence: None,
            unreadable: Unreadable::default(),
            log_id: Uuid::nil(),
            generation: None,
            went_back: false,
            tables: tables.clone(),
        };
        // What is committed now is one window, from the beginning to this moment.
        let now = reader.edge().await?;
        reader.progress = Progress::resume(match from.behind() {
            None => CursorRow {
                from: now,
                open: None,
            },
            Some(seq) => CursorRow {
                open: Some((now, seq)),
                ..beginning()
            },
        });
        Ok(Self { reader })
    }

    /// The next messages; `None` if there are none at the moment.
    pub(crate) async fn next_page(&mut self, limit: PageLimit) -> Result<Option<RecordPage>, StoreError> {
        let page = self.reader.next_page(limit).await?;
        if let Some(page) = &page
            && let Some(seq) = page.last_seq()
        {
            // Nobody delivers them: the window and what is known of its rows may be forgotten.
            let window = page.window();
            self.reader.progress.settle(Mark { window, seq });
            self.reader.unreadable = Unreadable::default();
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

fn beginning() -> CursorRow {
    CursorRow {
        from: Edge::before_everything(),
        open: None,
    }
}
