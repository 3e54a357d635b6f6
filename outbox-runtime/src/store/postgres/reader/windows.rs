//! Reads windows: opens them between two snapshots, finds their late rows, and reads them page by page.

use std::sync::Arc;

use super::PostgresReader;
use crate::record::RecordPage;
use crate::store::postgres::behind;
use crate::store::postgres::look::look;
use crate::store::postgres::low_water_mark::LowWaterMark;
use crate::store::postgres::pages::{late_rows, new_rows};
use crate::store::postgres::snapshot::Xid;
use crate::store::postgres::window::Edge;
use crate::store::{PageLimit, StoreError, StoreErrorKind};

/// More transaction ids than this are not listed if it can be helped: each is looked up in the next window.
const LIST_AT_MOST: u64 = 1_000;

/// How often a shorter list is tried for.
const ATTEMPTS: u32 = 3;

impl PostgresReader {
    /// The next rows of the window that is being read; an empty page at its end.
    pub(super) async fn read_window(&mut self, limit: PageLimit) -> Result<RecordPage, StoreError> {
        self.find_late().await?;
        loop {
            self.ask_in_between().await?;
            let Some(open) = self.progress.reading() else {
                return Ok(RecordPage::default());
            };
            let mut page = RecordPage::new(open.number, limit.rows.min(1024));
            let sql = Arc::clone(&self.sql);
            let (connection, unreadable) = (&mut self.connection, &mut self.unreadable);
            let may_have_more = connection
                .run("reading a page", async |pg| {
                    late_rows(pg, &sql, open, limit, &mut page, unreadable).await?;
                    let below = open.reads_below && open.read_to < open.window.from.high;
                    if page.is_empty() && !below {
                        new_rows(pg, &sql, open, limit, &mut page, unreadable).await?;
                    }
                    Ok(below || !open.unasked.is_empty())
                })
                .await?;
            if let Some(last) = page.last_seq() {
                open.read_to = last;
                open.last_returned = Some(last);
                return Ok(page);
            }
            if !may_have_more {
                return Ok(page);
            }
        }
    }

    /// Opens a window from the tip to now. `false` if there is nothing in it.
    pub(super) async fn open_window(&mut self) -> Result<bool, StoreError> {
        let to = self.edge().await?;
        let tip = self.progress.tip();
        if to.snapshot == tip.snapshot && to.high == tip.high {
            return Ok(false);
        }
        self.progress.open(to);
        Ok(true)
    }

    /// Finds the transactions that may have late rows in the window that is being read, once for each window.
    async fn find_late(&mut self) -> Result<(), StoreError> {
        let Some(open) = self.progress.reading().filter(|open| open.late.is_none()) else {
            return Ok(());
        };
        if let Some(bound) = open.window.from.xid_bound {
            self.low_water_mark.learn(open.window.from.high, bound);
        }
        let low_water_mark = match self.sql.partitioned {
            true => self.low_water_mark.below(&open.window.from.snapshot),
            // It spares looks into partitions, and in one table nothing.
            false => 0,
        };
        let mut unasked = behind::unasked(&open.window, low_water_mark);
        if behind::at_the_ends(&mut self.connection, &self.sql, &mut unasked).await? {
            tracing::warn!(
                cursor = open.window.from.high,
                "messages were written with a lower seq than the cursor's: the sequence behind {}.seq went back; \
                 all messages up to the cursor are searched for them",
                self.tables.messages()
            );
            open.read_below();
            self.low_water_mark = LowWaterMark::default();
            return Ok(());
        }
        open.unasked = unasked;
        let mut late: Vec<Xid> = open.window.late_listed().collect();
        let (connection, within) = (&mut self.connection, (&self.home, &open.window, low_water_mark));
        late.extend(self.searches.find(connection, &self.sql, within).await?);
        // The low-water mark covers only transactions that were running at the lower edge.
        if late.iter().all(|xid| *xid >= open.window.from.snapshot.xmin()) {
            open.read_to = open.read_to.max(low_water_mark);
        }
        open.late = Some(late);
        Ok(())
    }

    /// Asks some more of the window's transactions whether they wrote below it.
    async fn ask_in_between(&mut self) -> Result<(), StoreError> {
        let Some(open) = self.progress.reading().filter(|open| !open.unasked.is_empty()) else {
            return Ok(());
        };
        let high = open.window.from.high;
        match behind::in_between(&mut self.connection, &self.sql, &mut open.unasked).await? {
            true => Err(behind::found_too_late(&self.tables, high)),
            false => Ok(()),
        }
    }

    /// The log as it is now. Its snapshot lists all transactions that are running, so that those which are late
    /// afterwards are known, and need not be looked for among all that has been written by then.
    pub(super) async fn edge(&mut self) -> Result<Edge, StoreError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let tip = self.progress.tip().high;
            let look = look(&mut self.connection, &self.sql, tip, &self.tables).await?;
            // A standby's snapshots list nobody as running.
            if look.in_recovery {
                return Err(StoreError::new(StoreErrorKind::ReadOnly, "taking a snapshot"));
            }
            self.notice_exchange(look.sequence.as_ref());
            if look.started_since <= LIST_AT_MOST || attempts == ATTEMPTS {
                return Ok(look.edge());
            }
            // So many are of one that takes ids for its savepoints. They are passed by one that finishes.
            self.connection
                .run("taking a transaction id", async |pg| {
                    sqlx::query("SELECT pg_current_xact_id()").execute(pg).await
                })
                .await?;
        }
    }
    /// A table of the same name in the place of the one that was read: its messages go out, and those of the other one
    /// are out of sight.
    fn notice_exchange(&mut self, sequence: Option<&String>) {
        if self.sequence.is_some() && self.sequence.as_ref() != sequence {
            tracing::warn!(
                "{}.seq has another sequence than before: the table was replaced, and undelivered messages \
                 of the old table are not sent",
                self.tables.messages()
            );
            self.watch.look_now();
        }
        self.sequence = sequence.cloned();
    }
}
