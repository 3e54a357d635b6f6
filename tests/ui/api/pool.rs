//! An event is enqueued outside of a transaction.

use outbox_runtime::{Outbox, OutboxEvent};
use sqlx::Sqlite;

#[derive(serde::Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id)]
struct OrderPlacedV1 {
    id: u64,
}

async fn enqueue(outbox: Outbox<Sqlite>) {
    outbox.enqueue(outbox.pool(), OrderPlacedV1 { id: 1 }).await.unwrap().wake();
}

fn main() {}
