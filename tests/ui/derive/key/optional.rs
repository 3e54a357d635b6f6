//! Keys that an event may not have.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = order_id)]
struct Optional {
    order_id: Option<u64>,
}

#[derive(Serialize)]
struct Customer {
    id: Option<u64>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = customer.id)]
struct Nested {
    customer: Customer,
}

fn main() {}
