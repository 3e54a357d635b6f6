//! A reader that stands beside the relays, for who follows the log.

use std::sync::Arc;

use uuid::Uuid;

use super::{PostgresReader, WriteFence};
use crate::Tables;
use crate::record::RecordPage;
use crate::store::postgres::connection::Connection;
use crate::store::postgres::home::Home;
use crate::store::postgres::late::LateSearches;
use crate::store::postgres::low_water_mark::LowWaterMark;
use crate::store::postgres::progress::{CursorRow, Progress};
use crate::store::postgres::sql::Sql;
use crate::store::postgres::watch::Watch;
use crate::store::postgres::window::Edge;
use crate::store::unreadable::Unreadable;
use crate::store::{CursorChange, Fence, Mark, StoreError};

impl PostgresReader {
    /// A reader beside the relays: it holds no lease, claims no cursor and writes nothing. It is behind everything
    /// that is committed now, or, with `behind`, at the messages after that number.
    pub(in crate::store::postgres) async fn without_lease(
        mut connection: Connection,
        sql: Arc<Sql>,
        tables: &Tables,
        watch: Watch,
        behind: Option<i64>,
    ) -> Result<Self, StoreError> {
        let asked = connection.run("finding out which database this is", async |pg| {
            Home::ask(pg, &sql.home).await
        });
        let home = asked.await?;
        let nobody = Fence {
            epoch: 0,
            token: Uuid::nil(),
        };
        let beginning = CursorRow {
            from: Edge::before_everything(),
            open: None,
        };
        let mut reader = Self {
            connection,
            sql,
            writes: WriteFence {
                epoch: nobody.epoch,
                reader: nobody.token,
            },
            cursor_change: CursorChange::Unchanged,
            lease: nobody,
            home,
            progress: Progress::resume(beginning.clone()),
            may_repeat: 0,
            low_water_mark: LowWaterMark::default(),
            searches: LateSearches::default(),
            watch,
            sequence: None,
            unreadable: Unreadable::default(),
            held_keys: Vec::new(),
            log_id: Uuid::nil(),
            generation: None,
            went_back: false,
            tables: tables.clone(),
        };
        // What is committed now is one window, from the beginning until now.
        let now = reader.edge().await?;
        reader.progress = Progress::resume(match behind {
            None => CursorRow {
                from: now,
                open: None,
            },
            Some(seq) => CursorRow {
                open: Some((now, seq)),
                ..beginning
            },
        });
        Ok(reader)
    }

    /// Forgets a page that nobody delivers: its window counts as settled up to here.
    pub(in crate::store::postgres) fn pass_over(&mut self, page: &RecordPage) {
        if let Some(seq) = page.last_seq() {
            let window = page.window();
            self.progress.settle(Mark { window, seq });
            self.unreadable = Unreadable::default();
        }
    }
}
