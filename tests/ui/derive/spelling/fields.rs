//! Fields that do not exist.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(
    topic = "orders.{regoin}",
    aggregate = "order",
    key = oder_id,
    occurred_at = placed_att,
    correlation_id = self.corelation,
    headers("x-tenant" = tenannt, "x-shard" = region.shard),
)]
struct OrderPlacedV1 {
    order_id: u64,
    region: String,
    tenant: String,
    placed_at: std::time::SystemTime,
    correlation: String,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders.{2}", aggregate = "order", key = order_id)]
struct Tuple(u64, String);

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id)]
struct Unit;

fn main() {}
