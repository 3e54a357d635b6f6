//! Reads the log by seq, and keeps the cursor.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::decode::{push, push_unreadable};
use super::sql::Sql;
use super::watch::Watch;
use crate::Tables;
use crate::record::RecordPage;
use crate::store::classify::is_about_content;
use crate::store::controls::interventions::Columns;
use crate::store::reader::{KEYS_AT_A_TIME, NOT_STORABLE, ROWS_OF_A_KEY, UNREADABLE};
use crate::store::statement::Statement;
use crate::store::unreadable::{Unreadable, Why};
use crate::store::{
    DeadLetter, DeadLetterPage, Fence, Generations, Interventions, Mark, PageLimit, Parked, Pauses,
    PoisonHistory, PoisonProbe, Reader, Released, RowId, StoreError, StoreErrorKind, TopicKey, Waiting,
};

/// The reading side of an active relay.
pub struct SqliteReader {
    pool: SqlitePool,
    sql: Arc<Sql>,
    tables: Tables,
    fence: Fence,
    read_to: i64,
    written: i64,
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
             messages delivered, so new ones cannot be told from those, and nothing was sent: run `outbox \
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
    ) -> Result<Self, StoreError> {
        let doing = "claiming the cursor";
        let high: Option<i64> = sqlx::query_scalar(sql.claim_cursor.text())
            .bind(fence.epoch)
            .bind(fence.token.to_string())
            .fetch_optional(&pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
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
            unreadable: Unreadable::default(),
            held_keys: "[]".to_owned(),
            watch: Watch::start(),
        })
    }
}

impl SqliteReader {
    /// Numbers are not given out again that the cursor calls delivered: here nothing else tells new rows from old ones.
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

    /// Writes a dead letter, or says why the database does not take it.
    async fn write_letter(
        &self,
        write: &Statement,
        letter: &DeadLetter,
    ) -> Result<Option<String>, StoreError> {
        self.fenced("writing a dead letter", async |connection| {
            sqlx::query(write.text())
                .bind(letter.seq)
                .bind(letter.id.to_string())
                .bind(letter.reason)
                .bind(&letter.error)
                .execute(connection)
                .await
                .map(drop)
        })
        .await
    }

    /// Keeps a row as JSON that could not be read, or that the dead letters do not take as it is.
    async fn bury_as_json(&self, row: RowId, why: Result<&Why, &str>) -> Result<(), StoreError> {
        let (seq, id) = row;
        let (reason, error) = match why {
            Ok(why) => (UNREADABLE, why.error.as_str()),
            Err(refused) => (NOT_STORABLE, refused),
        };
        tracing::error!(seq, %id, reason, error, "the dead letters hold the row as JSON");
        let shown = why.ok();
        let refused = self
            .fenced("writing a dead letter", async |connection| {
                sqlx::query(self.sql.dead_letter_as_json.text())
                    .bind(seq)
                    .bind(id.to_string())
                    .bind(reason)
                    .bind(error)
                    .bind(shown.map(|why| &why.topic))
                    .bind(shown.map(|why| &why.key))
                    .bind(shown.map(|why| &why.event_type))
                    .execute(connection)
                    .await
                    .map(drop)
            })
            .await?;
        taken(seq, refused)
    }

    /// Parks rows in their order. If the database does not take them together, each goes alone, and one that it does not
    /// take is dead.
    async fn park_all(
        &mut self,
        doing: &'static str,
        change: &Statement,
        rows: &[RowId],
        why: Option<&Parked>,
    ) -> Result<(), StoreError> {
        let (unreadable, rows) = self.unreadable.part(rows);
        for (row, why) in unreadable {
            self.bury_as_json(row, Ok(&why)).await?;
        }
        if self.change_rows(doing, change, &rows, why).await?.is_none() {
            return Ok(());
        }
        for row in rows {
            if let Some(refused) = self.change_rows(doing, change, &[row], why).await? {
                self.bury_as_json(row, Err(&refused)).await?;
            }
        }
        Ok(())
    }

    async fn change_rows(
        &self,
        doing: &'static str,
        change: &Statement,
        rows: &[RowId],
        why: Option<&Parked>,
    ) -> Result<Option<String>, StoreError> {
        self.fenced(doing, async |connection| {
            for (seq, id) in rows {
                let mut query = sqlx::query(change.text()).bind(seq).bind(id.to_string());
                if let Some(why) = why {
                    query = query.bind(why.reason).bind(&why.error);
                }
                query.execute(&mut *connection).await?;
            }
            Ok(())
        })
        .await
    }

    async fn released_of(&self, topic: &str, from: &str, limit: PageLimit) -> Result<Released, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let many = KEYS_AT_A_TIME as i64;
        let query = sqlx::query_scalar(self.sql.wanted_keys.text())
            .bind(topic)
            .bind(many)
            .bind(&self.held_keys);
        let mut keys: Vec<String> = query.fetch_all(&mut *connection).await?;
        let query = sqlx::query_as(self.sql.first_letters.text())
            .bind(topic)
            .bind(from);
        let query = query.bind(many).bind(&self.held_keys);
        let mut looked_at: Vec<(String, bool)> = query.fetch_all(&mut *connection).await?;
        let mut page = Released::default();
        if looked_at.len() > KEYS_AT_A_TIME {
            page.next = looked_at.pop().map(|(key, _)| key);
        }
        keys.extend(
            looked_at
                .into_iter()
                .filter(|(_, may_go)| *may_go)
                .map(|(key, _)| key),
        );
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let query = sqlx::query(self.sql.letters_of_key.text()).bind(topic).bind(key);
            let rows = query
                .bind(ROWS_OF_A_KEY as i64 + 1)
                .fetch_all(&mut *connection)
                .await?;
            for (index, row) in rows.iter().take(ROWS_OF_A_KEY).enumerate() {
                if !row.try_get::<bool, _>(11)? {
                    break;
                }
                if page.records.len() >= limit.rows || page.records.size() >= limit.bytes {
                    return Ok(page);
                }
                push(&mut page.records, row)?;
                page.last.push(index + 1 == rows.len());
            }
        }
        Ok(page)
    }

    /// Writes in one transaction, provided that the cursor row is the holder's. Returns why the database does not take what
    /// a row holds; nothing was written then.
    async fn fenced(
        &self,
        doing: &'static str,
        write: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), sqlx::Error>,
    ) -> Result<Option<String>, StoreError> {
        let mut transaction = self
            .pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(StoreError::while_doing(doing))?;
        let held = sqlx::query(self.sql.holds_cursor.text())
            .bind(self.fence.epoch)
            .bind(self.fence.token.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(StoreError::while_doing(doing))?;
        if held.is_none() {
            return Err(StoreError::new(StoreErrorKind::Fenced, doing));
        }
        match write(&mut transaction).await {
            Err(error) if is_about_content(&error) => return Ok(Some(error.to_string())),
            written => written.map_err(StoreError::while_doing(doing))?,
        }
        transaction
            .commit()
            .await
            .map_err(StoreError::while_doing(doing))?;
        Ok(None)
    }
}

impl Generations for SqliteReader {}

impl Reader for SqliteReader {
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

    async fn dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        let row = (letter.seq, letter.id);
        if let Some(why) = self.unreadable.take(&row) {
            return self.bury_as_json(row, Ok(&why)).await;
        }
        match self.write_letter(&self.sql.dead_letter, letter).await? {
            None => Ok(()),
            Some(refused) => {
                let (reason, error) = (letter.reason, &letter.error);
                let why = format!("{reason}: {error}; it cannot be stored here as it is: {refused}");
                self.bury_as_json(row, Err(&why)).await
            }
        }
    }

    async fn fail_again(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        let refused = self.write_letter(&self.sql.fail_again, letter).await?;
        taken(letter.seq, refused)
    }

    async fn park(&mut self, rows: &[RowId], why: &Parked) -> Result<(), StoreError> {
        let sql = Arc::clone(&self.sql);
        self.park_all("parking records", &sql.park, rows, Some(why)).await
    }

    async fn interventions(&mut self) -> Result<Interventions, StoreError> {
        let doing = "reading what operators have decided";
        let rows: Vec<Columns> = sqlx::query_as(self.sql.interventions.text())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        let held = sqlx::query(self.sql.holds_cursor.text())
            .bind(self.fence.epoch)
            .bind(self.fence.token.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        match held {
            Some(_) => Ok(rows.into_iter().collect()),
            None => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
        }
    }

    fn hold_keys(&mut self, pauses: &Pauses) {
        self.held_keys = serde_json::Value::from(pauses.stored_keys()).to_string();
    }

    async fn parked_topics(&mut self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(self.sql.parked_topics.text())
            .bind(&self.held_keys)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing("looking for parked records"))
    }

    async fn dead_letters(
        &mut self,
        which: &Waiting,
        limit: PageLimit,
    ) -> Result<DeadLetterPage, StoreError> {
        let doing = "reading dead letters";
        let rows = i64::try_from(limit.rows).unwrap_or(i64::MAX);
        let query = match which {
            Waiting::ForTopic { topic, after } => sqlx::query(self.sql.parked_page.text())
                .bind(rows)
                .bind(after)
                .bind(topic),
            Waiting::ForReplay { except, after } => sqlx::query(self.sql.replay_page.text())
                .bind(rows)
                .bind(after)
                .bind(serde_json::Value::from(except.clone()).to_string()),
        };
        let mut found = query.bind(&self.held_keys).fetch(&self.pool);
        let mut page = DeadLetterPage::default();
        while page.records.size() < limit.bytes {
            let row = found.try_next().await.map_err(StoreError::while_doing(doing))?;
            let Some(row) = row else { break };
            push(&mut page.records, &row).map_err(StoreError::while_doing(doing))?;
            page.last_position = row.try_get(11).map_err(StoreError::while_doing(doing))?;
        }
        Ok(page)
    }

    async fn take_out(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        let doing = "removing delivered dead letters";
        let refused = self.change_rows(doing, &self.sql.take_out, rows, None).await?;
        refused.map_or(Ok(()), |refused| {
            Err(StoreError::new(StoreErrorKind::Unavailable, doing).with_source(refused))
        })
    }

    async fn park_behind(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        let sql = Arc::clone(&self.sql);
        self.park_all("parking records behind others", &sql.park_behind, rows, None)
            .await
    }

    async fn dead_letter_topics(&mut self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(self.sql.dead_letter_topics.text())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing("looking for topics with dead letters"))
    }

    async fn have_dead_letters(&mut self, keys: &[TopicKey]) -> Result<Vec<bool>, StoreError> {
        let doing = "looking for keys with dead letters";
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(StoreError::while_doing(doing))?;
        let mut have = Vec::with_capacity(keys.len());
        for (topic, key) in keys {
            let query = sqlx::query_scalar(self.sql.has_letters.text())
                .bind(topic)
                .bind(key);
            let has: Result<bool, sqlx::Error> = query.fetch_one(&mut *connection).await;
            have.push(has.map_err(StoreError::while_doing(doing))?);
        }
        Ok(have)
    }

    async fn released(
        &mut self,
        topic: &str,
        from: Option<&str>,
        limit: PageLimit,
    ) -> Result<Released, StoreError> {
        let found = self.released_of(topic, from.unwrap_or_default(), limit).await;
        found.map_err(StoreError::while_doing("reading dead letters that may go"))
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

/// Whether the dead letters took what is kept of a row.
fn taken(seq: i64, refused: Option<String>) -> Result<(), StoreError> {
    refused.map_or(Ok(()), |refused| {
        Err(StoreError::letter_refused(
            "the table of dead letters",
            seq,
            &refused,
        ))
    })
}
