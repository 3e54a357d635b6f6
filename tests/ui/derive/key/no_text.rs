//! Keys that are not text, and other things that are not what they are used as.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = ids)]
struct List {
    ids: Vec<u64>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id, occurred_at = at, correlation_id = ids, headers("x" = ids))]
struct Others {
    id: u64,
    at: String,
    ids: Vec<u64>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = 1 + 2)]
struct Call {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = self.key_text())]
struct NoMethod {
    id: u64,
}

fn main() {}
