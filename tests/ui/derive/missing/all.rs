//! An event without any attribute.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
struct OrderPlacedV1 {
    order_id: u64,
}

fn main() {
    // The stand-in keeps this from being a second error.
    let _ = outbox_runtime::OutboxEvent::key(&OrderPlacedV1 { order_id: 1 });
}
