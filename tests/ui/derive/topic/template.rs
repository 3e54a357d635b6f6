//! Topic templates that cannot be filled.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders.{region", aggregate = "order", key = id)]
struct Open {
    id: u64,
    region: String,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders.region}", aggregate = "order", key = id)]
struct Closed {
    id: u64,
    region: String,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders.{}", aggregate = "order", key = id)]
struct Empty {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders.{region:?}", aggregate = "order", key = id)]
struct Format {
    id: u64,
    region: String,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders {region}", aggregate = "order", key = id)]
struct LiteralPart {
    id: u64,
    region: String,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders.{region}", aggregate = "order", key = id)]
struct Optional {
    id: u64,
    region: Option<String>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders.{regions}", aggregate = "order", key = id)]
struct NoText {
    id: u64,
    regions: Vec<String>,
}

fn main() {}
