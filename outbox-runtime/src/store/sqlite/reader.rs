//! Reads the log by seq, and keeps the cursor.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::dead_letters::DeadLetters;
use super::decode::{push, push_unreadable};
use super::sql::Sql;
use super::watch::Watch;
use crate::Tables;
use crate::record::RecordPage;
use crate::store::controls::interventions::Columns;
use crate::store::unreadable::Unreadable;
use crate::store::{
    CursorChange, DeadLetter, DeadLetterPage, Fence, Generations, Interventions, Mark, PageLimit, Parked,
    Pauses, PoisonHistory, PoisonProbe, Reader, Released, RowId, StoreError, StoreErrorKind, TopicKey,
    Waiting,
};

/// The reading side of an active relay.
pub struct SqliteReader {
    pool: SqlitePool,
    sql: Arc<Sql>,
    tables: Tables,
    fence: Fence,
    read_to: i64,
    written: i64,
    cursor_change: CursorChange,
    unreadable: Unreadable,
    /// Keys that are paused, as they are stored, in a JSON array.
    held_keys: String,
    watch: Watch,
}

/// The last number is below the cursor.
pub(super) fn numbers_went_back(tables: &Tables, last: i64, cursor: i64) -> StoreError {
    let (messages, names) = (tables.messages(), tables.as_arguments());
    StoreError::new(
        StoreErrorKind::Undecided,
        format!(
            "the numbers of {messages} went back: the last is {last}, below {cursor}, up to where the cursor calls \
             messages delivered, so new ones cannot be distinguished from those, and nothing was sent: run `outbox \
             adopt{names} --without-cursor send` to send all that is in the log, delivered before or not, or `… \
             --without-cursor skip` to send none of it"
        ),
    )
}

/// One writer commits after the other, so all rows are in one window.
const WINDOW: u64 = 0;

impl SqliteReader {
    pub(super) async fn open(
        pool: SqlitePool,
        tables: &Tables,
        sql: Arc<Sql>,
        fence: Fence,
        earlier: Option<Uuid>,
    ) -> Result<Self, StoreError> {
        let doing = "claiming the cursor";
        let claiming = async {
            let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
            let before: Option<Option<String>> = sqlx::query_scalar(sql.claimant.text())
                .fetch_optional(&mut *tx)
                .await?;
            let high: Option<i64> = sqlx::query_scalar(sql.claim_cursor.text())
                .bind(fence.epoch)
                .bind(fence.token.to_string())
                .fetch_optional(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok((before.flatten(), high))
        };
        let (before, high) = claiming.await.map_err(StoreError::while_doing(doing))?;
        let Some(high) = high else {
            let there: bool = sqlx::query_scalar(sql.has_cursor.text())
                .fetch_one(&pool)
                .await
                .map_err(StoreError::while_doing(doing))?;
            return Err(match there {
                true => StoreError::new(StoreErrorKind::Fenced, doing),
                false => StoreError::lost_cursor(tables),
            });
        };
        Ok(Self {
            pool,
            sql,
            tables: tables.clone(),
            fence,
            read_to: high,
            written: high,
            cursor_change: change(before.as_deref(), earlier, fence),
            unreadable: Unreadable::default(),
            held_keys: "[]".to_owned(),
            watch: Watch::start(),
        })
    }
}

impl SqliteReader {
    /// Numbers are not given out again that the cursor calls delivered: here nothing else distinguishes new rows from
    /// old ones.
    async fn check_numbers(&self) -> Result<(), StoreError> {
        let doing = "looking at the last number";
        let last: i64 = sqlx::query_scalar(self.sql.last_number.text())
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        if last >= self.read_to {
            return Ok(());
        }
        Err(numbers_went_back(&self.tables, last, self.read_to))
    }

    /// Asked after a question about the dead letters or the operators' decisions. The answer holds only if the cursor is
    /// still this reader's: a rewind takes parked messages out of the dead letters, and they come again behind it.
    async fn check_held(&self) -> Result<(), StoreError> {
        let doing = "looking whether the cursor was moved";
        let held = sqlx::query(self.sql.holds_cursor.text())
            .bind(self.fence.epoch)
            .bind(self.fence.token.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        match held {
            Some(_) => Ok(()),
            None => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
        }
    }

    fn dead_letters(&mut self) -> DeadLetters<'_> {
        DeadLetters {
            pool: &self.pool,
            sql: &self.sql,
            fence: self.fence,
            held_keys: &self.held_keys,
            unreadable: &mut self.unreadable,
        }
    }
}

impl Generations for SqliteReader {}

/// What happened to the cursor, which `before` had, since the claim of `earlier`. Whoever moves it leaves nobody in it.
fn change(before: Option<&str>, earlier: Option<Uuid>, now: Fence) -> CursorChange {
    let Some(earlier) = earlier else {
        return CursorChange::Unchanged;
    };
    match before {
        Some(before) if [earlier, now.token].iter().any(|own| own.to_string() == before) => {
            CursorChange::Unchanged
        }
        Some(_) => CursorChange::Claimed,
        None => CursorChange::Moved,
    }
}

impl Reader for SqliteReader {
    fn claim_id(&self) -> Uuid {
        self.fence.token
    }

    fn cursor_change(&self) -> CursorChange {
        self.cursor_change
    }

    async fn next_page(&mut self, limit: PageLimit) -> Result<Option<RecordPage>, StoreError> {
        self.watch.look(&self.pool, &self.tables).await?;
        let mut page = RecordPage::new(WINDOW, limit.rows.min(1024));
        let mut rows = sqlx::query(self.sql.page.text())
            .bind(self.read_to)
            .bind(i64::try_from(limit.rows).unwrap_or(i64::MAX))
            .fetch(&self.pool);
        // Rows are stepped through in this process, so the page may simply end early.
        while page.size() < limit.bytes {
            let row = rows
                .try_next()
                .await
                .map_err(StoreError::while_doing("reading a page"))?;
            let Some(row) = row else { break };
            let pushed = match push(&mut page, &row) {
                Err(error) => push_unreadable(&mut page, &row, &error, &mut self.unreadable),
                Ok(()) => Ok(()),
            };
            pushed.map_err(StoreError::while_doing("reading a page"))?;
        }
        drop(rows);
        let Some(last) = page.last_seq() else {
            self.check_numbers().await?;
            return Ok(None);
        };
        self.read_to = last;
        Ok(Some(page))
    }

    async fn persist(&mut self, settled: Mark) -> Result<(), StoreError> {
        if settled.seq <= self.written {
            return Ok(());
        }
        let written = sqlx::query(self.sql.persist.text())
            .bind(self.fence.epoch)
            .bind(self.fence.token.to_string())
            .bind(settled.seq)
            .execute(&self.pool)
            .await
            .map_err(StoreError::while_doing("writing the cursor"))?;
        if written.rows_affected() == 0 {
            return Err(StoreError::new(StoreErrorKind::Fenced, "writing the cursor"));
        }
        self.written = settled.seq;
        Ok(())
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

    async fn interventions(&mut self) -> Result<Interventions, StoreError> {
        let doing = "reading what operators have decided";
        let rows: Vec<Columns> = sqlx::query_as(self.sql.interventions.text())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        self.check_held().await?;
        Ok(rows.into_iter().collect())
    }

    fn hold_keys(&mut self, pauses: &Pauses) {
        self.held_keys = serde_json::Value::from(pauses.stored_keys()).to_string();
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

    async fn in_dead_letters(&mut self, rows: &[RowId]) -> Result<Vec<RowId>, StoreError> {
        let found = self.dead_letters().those_of(rows).await?;
        self.check_held().await?;
        Ok(found)
    }

    async fn take_out(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        self.dead_letters().take_out(rows).await
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
        let row: Option<(i64, Option<i64>, Option<String>, i64)> =
            sqlx::query_as(self.sql.poison_history.text())
                .bind(self.fence.epoch)
                .bind(self.fence.token.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::while_doing(doing))?;
        let (terms, seq, id, deaths) = row.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))?;
        let id = id.and_then(|id| id.parse().ok());
        Ok(PoisonHistory {
            // This term has begun, too.
            unended_terms: (terms - 1).max(0).unsigned_abs(),
            suspect: seq.zip(id).map(|row| (row, deaths.unsigned_abs())),
        })
    }

    async fn note_probe(&mut self, probe: PoisonProbe) -> Result<(), StoreError> {
        let doing = "writing down which record goes alone";
        let query = match probe {
            PoisonProbe::Begun { .. } => sqlx::query(self.sql.begin_probe.text()),
            PoisonProbe::Postponed => sqlx::query(self.sql.postpone_probe.text()),
            PoisonProbe::Cleared => sqlx::query(self.sql.clear_probe.text()),
        };
        let query = query.bind(self.fence.epoch).bind(self.fence.token.to_string());
        let query = match probe {
            PoisonProbe::Begun { row, evidence } => query.bind(row.0).bind(row.1.to_string()).bind(evidence),
            PoisonProbe::Postponed | PoisonProbe::Cleared => query,
        };
        let written = query
            .execute(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        match written.rows_affected() {
            0 => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
            _ => Ok(()),
        }
    }

    async fn note_broker(&mut self, cluster: &str) -> Result<Option<String>, StoreError> {
        let doing = "writing down which Kafka it is";
        let (epoch, token) = (self.fence.epoch, self.fence.token.to_string());
        let before: Option<Option<String>> = sqlx::query_scalar(self.sql.noted_broker.text())
            .bind(epoch)
            .bind(&token)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        let before = before.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))?;
        if before.as_deref() != Some(cluster) {
            sqlx::query(self.sql.note_broker.text())
                .bind(epoch)
                .bind(&token)
                .bind(cluster)
                .execute(&self.pool)
                .await
                .map_err(StoreError::while_doing(doing))?;
        }
        Ok(before)
    }
}
