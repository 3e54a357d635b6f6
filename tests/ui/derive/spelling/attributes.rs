//! Attributes that do not exist, or are there twice.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(tpoic = "orders", aggregate_type = "order", kye = order_id, colour = "red")]
struct Misspelt {
    order_id: u64,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = order_id, topic = "others")]
#[outbox(aggregate = "again")]
struct Repeated {
    order_id: u64,
}

fn main() {}
