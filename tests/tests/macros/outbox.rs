//! An outbox with one table of words.

use outbox_runtime::{Outbox, OutboxEvent};
use outbox_tests::TestDatabase;
use serde::Serialize;
use sqlx::{Executor, Sqlite};

#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = "words.added.v1", aggregate = "word", key = word)]
pub(crate) struct WordAddedV1 {
    pub(crate) word: String,
}

impl WordAddedV1 {
    pub(crate) fn new(word: impl Into<String>) -> Self {
        Self { word: word.into() }
    }
}

pub(crate) async fn open() -> (TestDatabase<Sqlite>, Outbox<Sqlite>) {
    let database = TestDatabase::sqlite().await;
    database
        .pool
        .execute("CREATE TABLE words (word TEXT PRIMARY KEY)")
        .await
        .unwrap();
    let outbox = Outbox::new(database.pool.clone());
    (database, outbox)
}

/// The keys of all events, in their order.
pub(crate) async fn words(outbox: &Outbox<Sqlite>) -> Vec<String> {
    sqlx::query_scalar("SELECT aggregate_id FROM outbox_messages ORDER BY seq")
        .fetch_all(outbox.pool())
        .await
        .unwrap()
}
