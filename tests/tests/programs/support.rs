//! An outbox, and what has been written through it.

use outbox_runtime::{Outbox, OutboxEvent, OutboxTx};
use outbox_tests::TestDatabase;
use serde::Serialize;
use sqlx::Sqlite;

pub(crate) type LiteTx<'c> = OutboxTx<'c, Sqlite>;

/// What happened.
#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = "programs.noted", aggregate = "note", key = text)]
pub(crate) struct NotedV1 {
    pub(crate) text: String,
}

pub(crate) fn noted(text: impl Into<String>) -> NotedV1 {
    NotedV1 { text: text.into() }
}

pub(crate) async fn open() -> (TestDatabase<Sqlite>, Outbox<Sqlite>) {
    let database = TestDatabase::sqlite().await;
    let outbox = Outbox::new(database.pool.clone());
    (database, outbox)
}

/// The keys of all events, in their order.
pub(crate) async fn keys(outbox: &Outbox<Sqlite>) -> Vec<String> {
    sqlx::query_scalar("SELECT aggregate_id FROM outbox_messages ORDER BY seq")
        .fetch_all(outbox.pool())
        .await
        .unwrap()
}

/// Topic, key, type, headers and payload of the last event, as they stand in its row.
pub(crate) async fn last_row(outbox: &Outbox<Sqlite>) -> [String; 5] {
    let row: (String, String, String, String, String) = sqlx::query_as(
        "SELECT topic, aggregate_id, event_type, headers, payload FROM outbox_messages ORDER BY seq DESC LIMIT 1",
    )
    .fetch_one(outbox.pool())
    .await
    .unwrap();
    row.into()
}
