//! Headers that cannot be, or that are written already.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(
    topic = "orders",
    aggregate = "order",
    key = id,
    headers(
        "" = "empty",
        "ce_id" = id,
        "Content-Type" = "text/plain",
        "ce_correlationid" = id,
        "x-twice" = 1,
        "x-twice" = 2,
        unquoted = id,
        "x-nothing",
        "x-arrow" => id,
    )
)]
struct OrderPlacedV1 {
    id: u64,
}

fn main() {}
