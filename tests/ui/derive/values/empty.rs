//! Texts that are empty or cannot be stored, and a payload that is not JSON.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(
    topic = "",
    aggregate = "",
    key = order_id,
    event_type = "",
    source = "a\0b",
    content_type = "application/protobuf"
)]
struct OrderPlacedV1 {
    order_id: u64,
}

fn main() {}
