//! Reads the log window by window on one connection, and keeps the cursor.

mod windows;
mod without_lease;

use std::sync::Arc;

use uuid::Uuid;

use super::claim::{claim_cursor, number};
use super::connection::Connection;
use super::dead_letters::DeadLetters;
use super::home::Home;
use super::late::LateSearches;
use super::low_water_mark::LowWaterMark;
use super::options::Options;
use super::progress::{CursorRow, Progress};
use super::snapshot::Xid;
use super::sql::Sql;
use super::status;
use super::watch::Watch;
use crate::Tables;
use crate::record::RecordPage;
use crate::store::controls::interventions::Columns;
use crate::store::unreadable::Unreadable;
use crate::store::{
    CursorChange, DeadLetter, DeadLetterPage, Fence, Interventions, Mark, PageLimit, Parked, Pauses,
    PoisonHistory, PoisonProbe, Reader, Released, RowId, StoreError, StoreErrorKind, TopicKey, Waiting,
};

/// The reading connection of an active relay.
///
/// Snapshots live and die with the connection: when it breaks, the server behind the next one may know less.
pub struct PostgresReader {
    pub(super) connection: Connection,
    pub(super) sql: Arc<Sql>,
    pub(super) writes: WriteFence,
    cursor_change: CursorChange,
    /// What the lease is written with.
    lease: Fence,
    home: Home,
    pub(super) progress: Progress,
    may_repeat: u64,
    low_water_mark: LowWaterMark,
    searches: LateSearches,
    watch: Watch,
    /// The sequence behind the messages' seq, as it was at the last look.
    sequence: Option<String>,
    unreadable: Unreadable,
    /// Keys that are paused, as they are stored.
    held_keys: Vec<String>,
    pub(super) log_id: Uuid,
    pub(super) generation: Option<i64>,
    pub(super) went_back: bool,
    pub(super) tables: Tables,
}

/// What each write of a reader carries. A later reader's claim makes it void, also one of the same holder: what an
/// earlier one has left on its way must not undo what the later one has written.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteFence {
    pub(super) epoch: i64,
    pub(super) reader: Uuid,
}

impl PostgresReader {
    pub(super) async fn open(
        options: &Options,
        tables: &Tables,
        sql: Arc<Sql>,
        (searches, watch): (LateSearches, Watch),
        (fence, earlier): (Fence, Option<Uuid>),
    ) -> Result<Self, StoreError> {
        let mut connection = Connection::open(options).await?;
        let newest = newest_xid(&mut connection, &sql).await?;
        let claimed = claim_cursor(&mut connection, &sql, tables, fence, earlier).await?;
        claimed.check(newest, tables)?;
        let mut reader = Self {
            connection,
            sql,
            lease: fence,
            writes: WriteFence {
                epoch: fence.epoch,
                reader: claimed.reader,
            },
            cursor_change: claimed.change,
            low_water_mark: LowWaterMark::default(),
            searches,
            watch,
            sequence: None,
            home: claimed.home,
            progress: Progress::resume(claimed.row),
            may_repeat: 0,
            unreadable: Unreadable::default(),
            held_keys: Vec::new(),
            log_id: claimed.log_id,
            generation: claimed.generation,
            went_back: false,
            tables: tables.clone(),
        };
        if let Some(before) = claimed.origin.timeline
            && let Some(now) = reader.home.timeline.clone()
            && before != now
        {
            reader.on_another_timeline(&before, &now, tables).await?;
        }
        Ok(reader)
    }

    /// A replica was promoted, or the past restored. What the database has lost it has lost together with what
    /// the cursor said of it; so all that is behind the cursor may have been sent already.
    async fn on_another_timeline(
        &mut self,
        before: &str,
        now: &str,
        tables: &Tables,
    ) -> Result<(), StoreError> {
        let behind = status::backlog(&mut self.connection, &self.sql, tables).await?;
        self.may_repeat = behind.messages;
        self.went_back = true;
        tracing::warn!(
            from = %before, to = %now, messages = behind.messages, exact = behind.exact,
            "the database was restored to an earlier state (a fail-over or a restore); messages that were not marked as delivered then may be delivered twice"
        );
        Ok(())
    }

    fn dead_letters(&mut self) -> DeadLetters<'_> {
        DeadLetters {
            connection: &mut self.connection,
            sql: &self.sql,
            tables: &self.tables,
            fence: self.writes,
            held_keys: &self.held_keys,
            unreadable: &mut self.unreadable,
        }
    }

    /// Asked after a question about the dead letters or the operators' decisions. The answer holds only if the cursor is
    /// still this reader's: a rewind takes parked messages out of the dead letters, and they come again behind it.
    async fn check_held(&mut self) -> Result<(), StoreError> {
        let doing = "looking whether the cursor was moved";
        let (text, fence) = (self.sql.is_held.text(), self.writes);
        let held: bool = self
            .connection
            .run(doing, async |pg| {
                let query = sqlx::query_scalar(text).bind(fence.epoch).bind(fence.reader);
                query.fetch_one(pg).await
            })
            .await?;
        match held {
            true => Ok(()),
            false => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
        }
    }

    /// Writes the cursor row.
    pub(super) async fn write(&mut self, row: CursorRow) -> Result<(), StoreError> {
        let sql = self.sql.persist.text();
        let (fence, home, generation) = (self.writes, &self.home, self.generation);
        let (to, settled_to) = match &row.open {
            Some((to, settled_to)) => (Some(to), Some(*settled_to)),
            None => (None, None),
        };
        let written = self
            .connection
            .run("writing the cursor", async |pg| {
                sqlx::query_scalar(sql)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .bind(row.from.snapshot.to_string())
                    .bind(row.from.high)
                    .bind(row.from.xid_bound.map(|xid| xid.to_string()))
                    .bind(to.map(|to| to.snapshot.to_string()))
                    .bind(to.map(|to| to.high))
                    .bind(settled_to)
                    .bind(&home.system_identifier)
                    .bind(&home.timeline)
                    .bind(&home.database_oid)
                    .bind(&home.table_oid)
                    .bind(generation)
                    .fetch_optional(pg)
                    .await
            })
            .await?;
        let _held: bool =
            written.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, "writing the cursor"))?;
        self.progress.written();
        Ok(())
    }
}

impl Reader for PostgresReader {
    fn claim_id(&self) -> Uuid {
        self.writes.reader
    }

    fn cursor_change(&self) -> CursorChange {
        self.cursor_change
    }

    fn may_repeat(&self) -> u64 {
        self.may_repeat
    }

    async fn next_page(&mut self, limit: PageLimit) -> Result<Option<RecordPage>, StoreError> {
        self.watch.verdict()?;
        loop {
            while self.progress.reading().is_some() {
                let page = self.read_window(limit).await?;
                if !page.is_empty() {
                    return Ok(Some(page));
                }
                self.progress.exhaust();
            }
            if !self.open_window().await? {
                return Ok(None);
            }
        }
    }

    async fn persist(&mut self, settled: Mark) -> Result<(), StoreError> {
        self.progress.settle(settled);
        let row = match self.generation {
            Some(_) => self.progress.unwritten_of_generation(),
            None => self.progress.unwritten(),
        };
        match row {
            Some(row) => self.write(row).await,
            None => Ok(()),
        }
    }

    async fn dead_letter(&mut self, dead_letter: &DeadLetter) -> Result<(), StoreError> {
        self.dead_letters().write(dead_letter).await
    }

    async fn fail_again(&mut self, dead_letter: &DeadLetter) -> Result<(), StoreError> {
        self.dead_letters().fail_again(dead_letter).await
    }

    async fn park(&mut self, rows: &[RowId], why: &Parked) -> Result<(), StoreError> {
        self.dead_letters().park(rows, why).await
    }

    async fn parked_topics(&mut self) -> Result<Vec<String>, StoreError> {
        let topics = self.dead_letters().parked_topics().await?;
        self.check_held().await?;
        Ok(topics)
    }

    async fn dead_letters(
        &mut self,
        which: &Waiting,
        limit: PageLimit,
    ) -> Result<DeadLetterPage, StoreError> {
        let page = self.dead_letters().page(which, limit).await?;
        self.check_held().await?;
        Ok(page)
    }

    async fn park_behind(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        self.dead_letters().park_behind(rows).await
    }

    async fn dead_letter_topics(&mut self) -> Result<Vec<String>, StoreError> {
        let topics = self.dead_letters().dead_letter_topics().await?;
        self.check_held().await?;
        Ok(topics)
    }

    async fn have_dead_letters(&mut self, keys: &[TopicKey]) -> Result<Vec<bool>, StoreError> {
        let have = self.dead_letters().have_dead_letters(keys).await?;
        self.check_held().await?;
        Ok(have)
    }

    async fn released(
        &mut self,
        topic: &str,
        from: Option<&str>,
        limit: PageLimit,
    ) -> Result<Released, StoreError> {
        let released = self.dead_letters().released(topic, from, limit).await?;
        self.check_held().await?;
        Ok(released)
    }

    async fn poison_history(&mut self) -> Result<PoisonHistory, StoreError> {
        let doing = "reading what is suspected";
        let (text, fence) = (self.sql.lease.poison_history.text(), self.lease);
        let row: Option<(i64, Option<i64>, Option<Uuid>, i64)> = self
            .connection
            .run(doing, async |pg| {
                let query = sqlx::query_as(text).bind(fence.epoch).bind(fence.token);
                query.fetch_optional(pg).await
            })
            .await?;
        let (terms, seq, id, deaths) = row.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))?;
        Ok(PoisonHistory {
            // This term has begun, too.
            unended_terms: (terms - 1).max(0).unsigned_abs(),
            suspect: seq.zip(id).map(|row| (row, deaths.unsigned_abs())),
        })
    }

    async fn note_probe(&mut self, probe: PoisonProbe) -> Result<(), StoreError> {
        let doing = "writing down which record goes alone";
        let (sql, fence) = (&self.sql, self.lease);
        let query = match probe {
            PoisonProbe::Begun { .. } => sqlx::query(sql.lease.begin_probe.text()),
            PoisonProbe::Postponed => sqlx::query(sql.lease.postpone_probe.text()),
            PoisonProbe::Cleared => sqlx::query(sql.lease.clear_probe.text()),
        };
        let query = query.bind(fence.epoch).bind(fence.token);
        let query = match probe {
            PoisonProbe::Begun { row, evidence } => query.bind(row.0).bind(row.1).bind(evidence),
            PoisonProbe::Postponed | PoisonProbe::Cleared => query,
        };
        let written = self
            .connection
            .run(doing, async |pg| query.execute(pg).await)
            .await?;
        match written.rows_affected() {
            0 => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
            _ => Ok(()),
        }
    }

    async fn interventions(&mut self) -> Result<Interventions, StoreError> {
        let doing = "reading what operators have decided";
        let list = self.sql.interventions.text();
        let rows: Vec<Columns> = self
            .connection
            .run(doing, async |pg| sqlx::query_as(list).fetch_all(pg).await)
            .await?;
        self.check_held().await?;
        Ok(rows.into_iter().collect())
    }

    fn hold_keys(&mut self, pauses: &Pauses) {
        self.held_keys = pauses.stored_keys();
    }

    async fn in_dead_letters(&mut self, rows: &[RowId]) -> Result<Vec<RowId>, StoreError> {
        let found = self.dead_letters().those_of(rows).await?;
        self.check_held().await?;
        Ok(found)
    }

    async fn take_out(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        self.dead_letters().take_out(rows).await
    }

    async fn note_broker(&mut self, cluster: &str) -> Result<Option<String>, StoreError> {
        let doing = "writing down which Kafka it is";
        let text = self.sql.note_broker.text();
        let fence = self.writes;
        let before: Option<Option<String>> = self
            .connection
            .run(doing, async |pg| {
                let query = sqlx::query_scalar(text).bind(fence.epoch).bind(fence.reader);
                query.bind(cluster).fetch_optional(pg).await
            })
            .await?;
        before.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))
    }
}

async fn newest_xid(connection: &mut Connection, sql: &Sql) -> Result<Option<Xid>, StoreError> {
    let text = sql.newest_xid.text();
    let newest: Option<String> = connection
        .run("looking at the newest row", async |pg| {
            sqlx::query_scalar(text).fetch_one(pg).await
        })
        .await?;
    newest.as_deref().map(number).transpose()
}
