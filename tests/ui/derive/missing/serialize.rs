//! An event that serde cannot write.

#[derive(outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = order_id)]
struct OrderPlacedV1 {
    order_id: u64,
}

fn main() {}
