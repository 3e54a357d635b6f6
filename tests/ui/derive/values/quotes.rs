//! Values with quotes where none belong, and without where some do.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = orders, aggregate = 7, key = "order_id", version = "1", event_type, headers = "x")]
struct OrderPlacedV1 {
    order_id: u64,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic("orders"), aggregate = "order", key, transparent = true, crate = "not a path")]
struct OrderMovedV1 {
    order_id: u64,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = , aggregate = "order" key = order_id)]
struct OrderLostV1 {
    order_id: u64,
}

fn main() {}
