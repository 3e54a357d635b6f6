//! What is wrong inside of a value is shown at its own place.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize)]
struct Order {
    customer: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id.to_strin())]
struct Method {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = order.custmer)]
struct Field {
    order: Order,
}

fn main() {}
