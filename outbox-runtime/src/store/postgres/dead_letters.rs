//! What the active relay does with the dead letters, every write fenced like the cursor.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::connection::Connection;
use super::decode;
use super::reader::WriteFence;
use super::sql::Sql;
use crate::Tables;
use crate::store::classify::is_about_content;
use crate::store::reader::{KEYS_AT_A_TIME, NOT_STORABLE, ROWS_OF_A_KEY, UNREADABLE};
use crate::store::statement::Statement;
use crate::store::unreadable::{Unreadable, plain_error};
use crate::store::{
    DeadLetter, DeadLetterPage, PageLimit, Parked, Released, RowId, StoreError, StoreErrorKind, TopicKey,
    Waiting,
};

pub(super) struct DeadLetters<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) sql: &'a Sql,
    pub(super) tables: &'a Tables,
    pub(super) fence: WriteFence,
    /// Keys that are paused, as they are stored.
    pub(super) held_keys: &'a [String],
    /// Rows that were read and are no records.
    pub(super) unreadable: &'a mut Unreadable,
}

/// A sentence for people, and whether it is plain ASCII.
struct Saying<'a> {
    text: Cow<'a, str>,
    is_plain: bool,
}

impl AsRef<str> for Saying<'_> {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// The sentence as it is, and then in ASCII unless it is that already.
fn sayings(error: &str) -> impl Iterator<Item = Saying<'_>> {
    let is_plain = error.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let plain = (!is_plain).then(|| Saying {
        text: plain_error(error).into(),
        is_plain: true,
    });
    let as_it_is = Saying {
        text: error.into(),
        is_plain,
    };
    std::iter::once(as_it_is).chain(plain)
}

/// What the database answered, or why it does not take what a row holds. The connection is as good as before.
fn or_refused<T>(answer: Result<T, sqlx::Error>) -> Result<Result<T, String>, sqlx::Error> {
    match answer {
        Err(error) if is_about_content(&error) => Ok(Err(error.to_string())),
        answer => answer.map(Ok),
    }
}

impl DeadLetters<'_> {
    /// Copies a row into the dead letters. What cannot be stored there as it is, or could not even be read, is kept as JSON.
    pub(super) async fn write(mut self, dead_letter: &DeadLetter) -> Result<(), StoreError> {
        let row = (dead_letter.seq, dead_letter.id);
        if let Some(why) = self.unreadable.take(&row) {
            return self.write_as_json(row, UNREADABLE, &why.error).await;
        }
        let write = &self.sql.dead_letters.dead_letter;
        match self
            .write_dead_letter(write, row, dead_letter.reason, &dead_letter.error)
            .await?
        {
            Ok(written) => self.all_there(&[row], written).await,
            Err(refused) => {
                let (reason, error) = (dead_letter.reason, &dead_letter.error);
                let why = format!("{reason}: {error}; it cannot be stored here as it is: {refused}");
                self.write_as_json(row, NOT_STORABLE, &why).await
            }
        }
    }

    pub(super) async fn fail_again(mut self, dead_letter: &DeadLetter) -> Result<(), StoreError> {
        let write = &self.sql.dead_letters.fail_again;
        let row = (dead_letter.seq, dead_letter.id);
        match self
            .write_dead_letter(write, row, dead_letter.reason, &dead_letter.error)
            .await?
        {
            // None where it was discarded meanwhile.
            Ok(_) => Ok(()),
            Err(refused) => Err(StoreError::dead_letter_refused(
                "the table of dead letters",
                dead_letter.seq,
                &refused,
            )),
        }
    }

    async fn write_as_json(&mut self, row: RowId, reason: &'static str, why: &str) -> Result<(), StoreError> {
        let write = &self.sql.dead_letters.dead_letter_as_json;
        let (seq, id) = row;
        tracing::error!(seq, %id, reason, why, "the dead letters hold the row as JSON");
        match self
            .write_dead_letter(write, row, reason, &plain_error(why))
            .await?
        {
            Ok(written) => self.all_there(&[row], written).await,
            Err(refused) => Err(StoreError::dead_letter_refused(
                "the table of dead letters",
                seq,
                &refused,
            )),
        }
    }

    /// Writes a dead letter, or says why the database does not take it. A sentence that the database's encoding does not
    /// have is written in ASCII.
    async fn write_dead_letter(
        &mut self,
        write: &Statement,
        (seq, id): RowId,
        reason: &'static str,
        error: &str,
    ) -> Result<Result<i64, String>, StoreError> {
        let doing = "writing a dead letter";
        let fence = self.fence;
        for error in sayings(error) {
            let written = self
                .connection
                .run(doing, async |pg| {
                    let query = sqlx::query_as(write.text())
                        .bind(fence.epoch)
                        .bind(fence.reader)
                        .bind(seq)
                        .bind(id)
                        .bind(reason)
                        .bind(error.as_ref());
                    or_refused(query.fetch_one(pg).await)
                })
                .await?;
            match written {
                Ok((held, written)) => return fenced_unless(held, doing).map(|()| Ok(written)),
                Err(refused) if error.is_plain => return Ok(Err(refused)),
                Err(_) => {}
            }
        }
        Ok(Ok(0))
    }

    pub(super) async fn park(mut self, rows: &[RowId], why: &Parked) -> Result<(), StoreError> {
        let write = &self.sql.dead_letters.park;
        self.park_all("parking records", write, rows, Some(why)).await
    }

    pub(super) async fn park_behind(mut self, rows: &[RowId]) -> Result<(), StoreError> {
        let write = &self.sql.dead_letters.park_behind;
        self.park_all("parking records behind others", write, rows, None)
            .await
    }

    /// Parks rows in their order. A batch that the database does not take is split until the row is found that is to blame,
    /// and that one is dead.
    async fn park_all(
        &mut self,
        doing: &'static str,
        write: &Statement,
        rows: &[RowId],
        why: Option<&Parked>,
    ) -> Result<(), StoreError> {
        let (unreadable, rows) = self.unreadable.part(rows);
        for (row, why) in unreadable {
            self.write_as_json(row, UNREADABLE, &why.error).await?;
        }
        let mut batches = vec![&rows[..]];
        while let Some(batch) = batches.pop().filter(|batch| !batch.is_empty()) {
            let Some(refused) = self.park_batch(doing, write, batch, why).await? else {
                continue;
            };
            match batch {
                [row] => {
                    let why = format!("it was to be parked, and cannot be stored here as it is: {refused}");
                    self.write_as_json(*row, NOT_STORABLE, &why).await?;
                }
                _ => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Parks a batch, or says why the database does not take it.
    async fn park_batch(
        &mut self,
        doing: &'static str,
        write: &Statement,
        rows: &[RowId],
        why: Option<&Parked>,
    ) -> Result<Option<String>, StoreError> {
        let fence = self.fence;
        let (seqs, ids): (Vec<i64>, Vec<Uuid>) = rows.iter().copied().unzip();
        for error in sayings(why.map_or("", |why| &why.error)) {
            let written = self
                .connection
                .run(doing, async |pg| {
                    let mut query = sqlx::query_as(write.text())
                        .bind(fence.epoch)
                        .bind(fence.reader)
                        .bind(&seqs)
                        .bind(&ids);
                    if let Some(why) = why {
                        query = query.bind(why.reason).bind(error.as_ref());
                    }
                    or_refused(query.fetch_one(pg).await)
                })
                .await?;
            match written {
                Ok((held, written)) => {
                    fenced_unless(held, doing)?;
                    return self.all_there(rows, written).await.map(|()| None);
                }
                Err(refused) if error.is_plain => return Ok(Some(refused)),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Fewer rows than these may have been written because some were there already, or were removed from the log by hand. Where a
    /// trigger left one out, the cursor must not pass it.
    async fn all_there(&mut self, rows: &[RowId], written: i64) -> Result<(), StoreError> {
        if usize::try_from(written) == Ok(rows.len()) {
            return Ok(());
        }
        let text = self.sql.dead_letters.left_out.text();
        let (seqs, ids): (Vec<i64>, Vec<Uuid>) = rows.iter().copied().unzip();
        let left_out: Option<(i64, bool)> = self
            .connection
            .run("looking for dead letters", async |pg| {
                let query = sqlx::query_as(text).bind(seqs).bind(ids);
                query.fetch_optional(pg).await
            })
            .await?;
        match left_out {
            None => Ok(()),
            // Or it was discarded just now, and nothing is wrong.
            Some((_, true)) => self.connection.check_schema(self.tables).await.map(drop),
            Some((seq, false)) => {
                tracing::warn!(
                    seq,
                    "a message was removed from the log before it was delivered or dead-lettered, and is not delivered"
                );
                Ok(())
            }
        }
    }

    pub(super) async fn dead_letter_topics(self) -> Result<Vec<String>, StoreError> {
        let text = self.sql.dead_letters.dead_letter_topics.text();
        self.connection
            .run("looking for topics with dead letters", async |pg| {
                sqlx::query_scalar(text).fetch_all(pg).await
            })
            .await
    }

    pub(super) async fn have_dead_letters(self, keys: &[TopicKey]) -> Result<Vec<bool>, StoreError> {
        let text = self.sql.dead_letters.have_dead_letters.text();
        let (topics, keys): (Vec<&str>, Vec<&str>) = keys
            .iter()
            .map(|(topic, key)| (topic.as_str(), key.as_str()))
            .unzip();
        self.connection
            .run("looking for keys with dead letters", async |pg| {
                sqlx::query_scalar(text)
                    .bind(topics)
                    .bind(keys)
                    .fetch_all(pg)
                    .await
            })
            .await
    }

    pub(super) async fn released(
        self,
        topic: &str,
        from: Option<&str>,
        limit: PageLimit,
    ) -> Result<Released, StoreError> {
        let (wanted, first) = (
            self.sql.dead_letters.wanted_keys.text(),
            self.sql.dead_letters.first_dead_letters.text(),
        );
        let text = self.sql.dead_letters.released.text();
        let many = KEYS_AT_A_TIME as i64;
        let mut page = Released::default();
        self.connection
            .run("reading dead letters that may go", async |pg| {
                let query = sqlx::query_scalar(wanted)
                    .bind(topic)
                    .bind(many)
                    .bind(self.held_keys);
                let mut keys: Vec<String> = query.fetch_all(&mut *pg).await?;
                let query = sqlx::query_as(first).bind(topic).bind(from);
                let query = query.bind(many).bind(self.held_keys);
                let mut looked_at: Vec<(String, bool)> = query.fetch_all(&mut *pg).await?;
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
                if keys.is_empty() {
                    return Ok(());
                }
                let mut found = sqlx::query(text)
                    .bind(limit.rows as i64)
                    .bind(limit.bytes as i64)
                    .bind(topic)
                    .bind(keys)
                    .bind(ROWS_OF_A_KEY as i64)
                    .fetch(pg);
                while let Some(row) = found.try_next().await? {
                    decode::push(&mut page.records, &row)?;
                    page.last.push(row.try_get(11)?);
                }
                Ok(())
            })
            .await?;
        Ok(page)
    }

    pub(super) async fn parked_topics(self) -> Result<Vec<String>, StoreError> {
        let text = self.sql.dead_letters.parked_topics.text();
        self.connection
            .run("looking for parked records", async |pg| {
                sqlx::query_scalar(text).bind(self.held_keys).fetch_all(pg).await
            })
            .await
    }

    pub(super) async fn page(self, which: &Waiting, limit: PageLimit) -> Result<DeadLetterPage, StoreError> {
        let limited = |statement: &Statement, after: i64| {
            sqlx::query(statement.text())
                .bind(limit.rows as i64)
                .bind(limit.bytes as i64)
                .bind(after)
        };
        let query = match which {
            Waiting::ForTopic { topic, after } => {
                limited(&self.sql.dead_letters.parked_page, *after).bind(topic)
            }
            Waiting::ForReplay { except, after } => {
                limited(&self.sql.dead_letters.replay_page, *after).bind(except)
            }
        };
        let query = query.bind(self.held_keys);
        let mut page = DeadLetterPage::default();
        self.connection
            .run("reading dead letters", async |pg| {
                let mut found = query.fetch(pg);
                while let Some(row) = found.try_next().await? {
                    decode::push(&mut page.records, &row)?;
                    page.last_position = row.try_get(11)?;
                }
                Ok(())
            })
            .await?;
        Ok(page)
    }

    pub(super) async fn take_out(self, rows: &[RowId]) -> Result<(), StoreError> {
        let text = self.sql.dead_letters.take_out.text();
        self.change_rows("removing delivered dead letters", text, rows)
            .await
    }

    /// Those of these rows that are there.
    pub(super) async fn those_of(self, rows: &[RowId]) -> Result<Vec<RowId>, StoreError> {
        let (seqs, ids): (Vec<i64>, Vec<Uuid>) = rows.iter().copied().unzip();
        let text = self.sql.dead_letters.in_dead_letters.text();
        self.connection
            .run("looking for dead letters", async |pg| {
                sqlx::query_as(text).bind(seqs).bind(ids).fetch_all(pg).await
            })
            .await
    }

    async fn change_rows(
        self,
        doing: &'static str,
        text: AssertSqlSafe<Arc<str>>,
        rows: &[RowId],
    ) -> Result<(), StoreError> {
        let fence = self.fence;
        let (seqs, ids): (Vec<i64>, Vec<Uuid>) = rows.iter().copied().unzip();
        let held = self
            .connection
            .run(doing, async |pg| {
                sqlx::query_scalar(text)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .bind(seqs)
                    .bind(ids)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        fenced_unless(held, doing)
    }
}

fn fenced_unless(held: bool, doing: &'static str) -> Result<(), StoreError> {
    match held {
        true => Ok(()),
        false => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
    }
}
