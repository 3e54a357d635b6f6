//! Writing dead letters, reading them and taking them out.

use futures_util::TryStreamExt as _;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::decode::push;
use super::sql::Sql;
use crate::store::classify::is_about_content;
use crate::store::reader::{KEYS_AT_A_TIME, NOT_STORABLE, ROWS_OF_A_KEY, UNREADABLE};
use crate::store::statement::Statement;
use crate::store::unreadable::{Unreadable, Why};
use crate::store::{
    DeadLetter, DeadLetterPage, Fence, PageLimit, Parked, Released, RowId, StoreError, StoreErrorKind,
    TopicKey, Waiting,
};

/// The dead letters, as the reader of the log sees and writes them.
pub(super) struct DeadLetters<'a> {
    pub(super) pool: &'a SqlitePool,
    pub(super) sql: &'a Sql,
    pub(super) fence: Fence,
    /// Keys that are paused, as they are stored, in a JSON array.
    pub(super) held_keys: &'a str,
    pub(super) unreadable: &'a mut Unreadable,
}

impl DeadLetters<'_> {
    pub(super) async fn write(&mut self, dead_letter: &DeadLetter) -> Result<(), StoreError> {
        let row = (dead_letter.seq, dead_letter.id);
        if let Some(why) = self.unreadable.take(&row) {
            return self.write_as_json(row, Ok(&why)).await;
        }
        match self.write_dead_letter(&self.sql.dead_letter, dead_letter).await? {
            None => Ok(()),
            Some(refused) => {
                let (reason, error) = (dead_letter.reason, &dead_letter.error);
                let why = format!("{reason}: {error}; it cannot be stored here as it is: {refused}");
                self.write_as_json(row, Err(&why)).await
            }
        }
    }

    pub(super) async fn fail_again(&self, dead_letter: &DeadLetter) -> Result<(), StoreError> {
        let refused = self.write_dead_letter(&self.sql.fail_again, dead_letter).await?;
        taken(dead_letter.seq, refused)
    }

    /// Parks rows in their order.
    pub(super) async fn park(&mut self, rows: &[RowId], why: &Parked) -> Result<(), StoreError> {
        let sql = self.sql;
        self.park_all("parking records", &sql.park, rows, Some(why)).await
    }

    /// Parks rows in their order, behind others of their keys.
    pub(super) async fn park_behind(&mut self, rows: &[RowId]) -> Result<(), StoreError> {
        let sql = self.sql;
        self.park_all("parking records behind others", &sql.park_behind, rows, None)
            .await
    }

    pub(super) async fn parked_topics(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(self.sql.parked_topics.text())
            .bind(self.held_keys)
            .fetch_all(self.pool)
            .await
            .map_err(StoreError::while_doing("looking for parked records"))
    }

    pub(super) async fn page(
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
        let mut found = query.bind(self.held_keys).fetch(self.pool);
        let mut page = DeadLetterPage::default();
        while page.records.size() < limit.bytes {
            let row = found.try_next().await.map_err(StoreError::while_doing(doing))?;
            let Some(row) = row else { break };
            push(&mut page.records, &row).map_err(StoreError::while_doing(doing))?;
            page.last_position = row.try_get(11).map_err(StoreError::while_doing(doing))?;
        }
        Ok(page)
    }

    pub(super) async fn take_out(&self, rows: &[RowId]) -> Result<(), StoreError> {
        let doing = "removing delivered dead letters";
        let refused = self.change_rows(doing, &self.sql.take_out, rows, None).await?;
        refused.map_or(Ok(()), |refused| {
            Err(StoreError::new(StoreErrorKind::Unavailable, doing).with_source(refused))
        })
    }

    /// Those of these rows that are there.
    pub(super) async fn those_of(&self, rows: &[RowId]) -> Result<Vec<RowId>, StoreError> {
        let found = self.find(rows).await;
        found.map_err(StoreError::while_doing("looking for dead letters"))
    }

    async fn find(&self, rows: &[RowId]) -> Result<Vec<RowId>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let mut found = Vec::new();
        for (seq, id) in rows {
            let query = sqlx::query_scalar(self.sql.is_dead_letter.text())
                .bind(seq)
                .bind(id.to_string());
            if query.fetch_one(&mut *connection).await? {
                found.push((*seq, *id));
            }
        }
        Ok(found)
    }

    pub(super) async fn dead_letter_topics(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(self.sql.dead_letter_topics.text())
            .fetch_all(self.pool)
            .await
            .map_err(StoreError::while_doing("looking for topics with dead letters"))
    }

    pub(super) async fn have_dead_letters(&self, keys: &[TopicKey]) -> Result<Vec<bool>, StoreError> {
        let doing = "looking for keys with dead letters";
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(StoreError::while_doing(doing))?;
        let mut have = Vec::with_capacity(keys.len());
        for (topic, key) in keys {
            let query = sqlx::query_scalar(self.sql.has_dead_letters.text())
                .bind(topic)
                .bind(key);
            let has: Result<bool, sqlx::Error> = query.fetch_one(&mut *connection).await;
            have.push(has.map_err(StoreError::while_doing(doing))?);
        }
        Ok(have)
    }

    pub(super) async fn released(
        &mut self,
        topic: &str,
        from: Option<&str>,
        limit: PageLimit,
    ) -> Result<Released, StoreError> {
        let found = self.released_of(topic, from.unwrap_or_default(), limit).await;
        found.map_err(StoreError::while_doing("reading dead letters that may go"))
    }

    async fn released_of(&self, topic: &str, from: &str, limit: PageLimit) -> Result<Released, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let many = KEYS_AT_A_TIME as i64;
        let query = sqlx::query_scalar(self.sql.wanted_keys.text())
            .bind(topic)
            .bind(many)
            .bind(self.held_keys);
        let mut keys: Vec<String> = query.fetch_all(&mut *connection).await?;
        let query = sqlx::query_as(self.sql.first_dead_letters.text())
            .bind(topic)
            .bind(from);
        let query = query.bind(many).bind(self.held_keys);
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
            let query = sqlx::query(self.sql.dead_letters_of_key.text())
                .bind(topic)
                .bind(key);
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

    /// Writes a dead letter, or says why the database does not take it.
    async fn write_dead_letter(
        &self,
        write: &Statement,
        dead_letter: &DeadLetter,
    ) -> Result<Option<String>, StoreError> {
        self.fenced("writing a dead letter", async |connection| {
            sqlx::query(write.text())
                .bind(dead_letter.seq)
                .bind(dead_letter.id.to_string())
                .bind(dead_letter.reason)
                .bind(&dead_letter.error)
                .execute(connection)
                .await
                .map(drop)
        })
        .await
    }

    /// Keeps a row as JSON that could not be read, or that the dead letters do not take as it is.
    async fn write_as_json(&self, row: RowId, why: Result<&Why, &str>) -> Result<(), StoreError> {
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
            self.write_as_json(row, Ok(&why)).await?;
        }
        if self.change_rows(doing, change, &rows, why).await?.is_none() {
            return Ok(());
        }
        for row in rows {
            if let Some(refused) = self.change_rows(doing, change, &[row], why).await? {
                self.write_as_json(row, Err(&refused)).await?;
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

/// Whether the dead letters took what is kept of a row.
fn taken(seq: i64, refused: Option<String>) -> Result<(), StoreError> {
    refused.map_or(Ok(()), |refused| {
        Err(StoreError::dead_letter_refused(
            "the table of dead letters",
            seq,
            &refused,
        ))
    })
}
