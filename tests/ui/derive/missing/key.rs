//! An event without a key.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order")]
struct OrderPlacedV1 {
    order_id: u64,
}

fn main() {}
