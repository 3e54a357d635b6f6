//! What the active relay does with the dead letters, every write fenced like the cursor.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::connection::Connection;
use super::decode;
use super::reader::WriteFence;
use super::sql::Sql;
use crate::store::statement::Statement;
use crate::store::{
    DeadLetter, DeadLetterPage, PageLimit, Parked, RowId, StoreError, StoreErrorKind, Waiting,
};

pub(super) struct DeadLetters<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) sql: &'a Sql,
    pub(super) fence: WriteFence,
}

impl DeadLetters<'_> {
    pub(super) async fn bury(
        self,
        write: AssertSqlSafe<Arc<str>>,
        letter: &DeadLetter,
    ) -> Result<(), StoreError> {
        let fence = self.fence;
        let held = self
            .connection
            .run("writing a dead letter", async |pg| {
                sqlx::query_scalar(write)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .bind(letter.seq)
                    .bind(letter.id)
                    .bind(letter.reason)
                    .bind(&letter.error)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        fenced_unless(held, "writing a dead letter")
    }

    pub(super) async fn park(self, rows: &[RowId], why: &Parked) -> Result<(), StoreError> {
        let (fence, text) = (self.fence, self.sql.park.text());
        let (seqs, ids): (Vec<i64>, Vec<Uuid>) = rows.iter().copied().unzip();
        let held = self
            .connection
            .run("parking records", async |pg| {
                sqlx::query_scalar(text)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .bind(seqs)
                    .bind(ids)
                    .bind(why.reason)
                    .bind(&why.error)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        fenced_unless(held, "parking records")
    }

    pub(super) async fn parked_topics(self) -> Result<Vec<String>, StoreError> {
        let text = self.sql.parked_topics.text();
        self.connection
            .run("looking for parked records", async |pg| {
                sqlx::query_scalar(text).fetch_all(pg).await
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
            Waiting::ForTopic { topic, after } => limited(&self.sql.parked_page, *after).bind(topic),
            Waiting::ForReplay { except, after } => limited(&self.sql.replay_page, *after).bind(except),
        };
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
        let (fence, text) = (self.fence, self.sql.take_out.text());
        let (seqs, ids): (Vec<i64>, Vec<Uuid>) = rows.iter().copied().unzip();
        let held = self
            .connection
            .run("removing delivered dead letters", async |pg| {
                sqlx::query_scalar(text)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .bind(seqs)
                    .bind(ids)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        fenced_unless(held, "removing delivered dead letters")
    }
}

fn fenced_unless(held: bool, doing: &'static str) -> Result<(), StoreError> {
    match held {
        true => Ok(()),
        false => Err(StoreError::new(StoreErrorKind::Fenced, doing)),
    }
}
