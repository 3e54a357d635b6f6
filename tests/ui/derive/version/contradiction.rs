//! Versions that contradict the name.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id, version = 2)]
struct OrderPlacedV1 {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id, version = 1, event_type = "OrderMovedV3")]
struct OrderMoved {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id)]
struct OrderPlacedV99999999999 {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id, version = -1)]
struct Negative {
    id: u64,
}

fn main() {}
