//! Attributes without parentheses, and on a field.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox]
#[outbox = "orders"]
#[outbox(topic = "orders", aggregate = "order", key = order_id)]
struct OrderPlacedV1 {
    #[outbox(key)]
    order_id: u64,
}

fn main() {}
