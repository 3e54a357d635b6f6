//! Reads the log by seq, and keeps the cursor.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::sql::Sql;
use crate::Tables;
use crate::record::{OutboxRecord, RecordPage};
use crate::store::reader::{KEYS_AT_A_TIME, ROWS_OF_A_KEY};
use crate::store::statement::Statement;
use crate::store::{
    DeadLetter, DeadLetterPage, Fence, Generations, Mark, PageLimit, Parked, Reader, Released, RowId,
    StoreError, StoreErrorKind, Suspicion, TopicKey, Trial, Waiting,
};

/// The reading side of an active relay.
pub struct SqliteReader {
    pool: SqlitePool,
    sql: Arc<Sql>,
    fence: Fence,
    read_to: i64,
    written: i64,
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
            fence,
            read_to: high,
            written: high,
        })
    }
}

impl SqliteReader {
    async fn bury(&self, write: &Statement, letter: &DeadLetter) -> Result<(), StoreError> {
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

    async fn change_rows(
        &self,
        doing: &'static str,
        change: &Statement,
        rows: &[RowId],
    ) -> Result<(), StoreError> {
        self.fenced(doing, async |connection| {
            for (seq, id) in rows {
                sqlx::query(change.text())
                    .bind(seq)
                    .bind(id.to_string())
                    .execute(&mut *connection)
                    .await?;
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
            .bind(many);
        let mut keys: Vec<String> = query.fetch_all(&mut *connection).await?;
        let query = sqlx::query_as(self.sql.first_letters.text())
            .bind(topic)
            .bind(from);
        let mut looked_at: Vec<(String, bool)> = query.bind(many).fetch_all(&mut *connection).await?;
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

    /// Writes in one transaction, provided that the cursor row is the holder's.
    async fn fenced(
        &self,
        doing: &'static str,
        write: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), StoreError> {
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
        write(&mut transaction)
            .await
            .map_err(StoreError::while_doing(doing))?;
        transaction.commit().await.map_err(StoreError::while_doing(doing))
    }
}

impl Generations for SqliteReader {}

impl Reader for SqliteReader {
    async fn next_page(&mut self, limit: PageLimit) -> Result<Option<RecordPage>, StoreError> {
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
            push(&mut page, &row).map_err(StoreError::while_doing("reading a page"))?;
        }
        drop(rows);
        let Some(last) = page.last_seq() else {
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
        self.bury(&self.sql.dead_letter, letter).await
    }

    async fn fail_again(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        self.bury(&self.sql.fail_again, letter).await
    }

    async fn park(&mut self, rows: &[RowId], why: &Parked) -> Result<(), StoreError> {
        self.fenced("parking records", async |connection| {
            for (seq, id) in rows {
                sqlx::query(self.sql.park.text())
                    .bind(seq)
                    .bind(id.to_string())
                    .bind(why.reason)
                    .bind(&why.error)
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    async fn parked_topics(&mut self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(self.sql.parked_topics.text())
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
        let mut found = query.fetch(&self.pool);
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
        self.change_rows("removing delivered dead letters", &self.sql.take_out, rows)
            .await
    }

    async fn park_behind(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        self.change_rows("parking records behind others", &self.sql.park_behind, rows)
            .await
    }

    async fn lettered_topics(&mut self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(self.sql.lettered_topics.text())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing("looking for topics with dead letters"))
    }

    async fn have_letters(&mut self, keys: &[TopicKey]) -> Result<Vec<bool>, StoreError> {
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

    async fn suspicion(&mut self) -> Result<Suspicion, StoreError> {
        let doing = "reading what is suspected";
        let row: Option<(i64, Option<i64>, Option<String>, i64)> = sqlx::query_as(self.sql.suspicion.text())
            .bind(self.fence.epoch)
            .bind(self.fence.token.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        let (terms, seq, id, deaths) = row.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))?;
        let id = id.and_then(|id| id.parse().ok());
        Ok(Suspicion {
            // This term has begun, too.
            unended_terms: (terms - 1).max(0).unsigned_abs(),
            suspect: seq.zip(id).map(|row| (row, deaths.unsigned_abs())),
        })
    }

    async fn note_trial(&mut self, trial: Trial) -> Result<(), StoreError> {
        let doing = "writing down which record goes alone";
        let query = match trial {
            Trial::Begins { .. } => sqlx::query(self.sql.put_on_trial.text()),
            Trial::Adjourned => sqlx::query(self.sql.adjourn.text()),
            Trial::Over => sqlx::query(self.sql.acquit.text()),
        };
        let query = query.bind(self.fence.epoch).bind(self.fence.token.to_string());
        let query = match trial {
            Trial::Begins { row, evidence } => query.bind(row.0).bind(row.1.to_string()).bind(evidence),
            Trial::Adjourned | Trial::Over => query,
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

fn push(page: &mut RecordPage, row: &SqliteRow) -> Result<(), sqlx::Error> {
    let id: &str = row.try_get(1)?;
    let payload: Option<&str> = row.try_get(8)?;
    page.push(OutboxRecord {
        seq: row.try_get(0)?,
        id: id
            .parse()
            .map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
        topic: row.try_get(2)?,
        key: row.try_get(3)?,
        event_type: row.try_get(4)?,
        content_type: row.try_get(5)?,
        source: row.try_get(6)?,
        headers: row.try_get(7)?,
        payload: match payload {
            Some(json) => Some(json.as_bytes()),
            None => row.try_get(9)?,
        },
        occurred_at_ms: row.try_get(10)?,
    });
    Ok(())
}
