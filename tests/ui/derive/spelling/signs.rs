//! Other signs than `=` and `,`, each reported once.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic "orders", aggregate: "order", key => id)]
struct InPlaceOfEquals {
    id: u64,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders"; aggregate = "order"; key = id)]
struct InPlaceOfCommas {
    id: u64,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = id, headers("x" = , "y": id, "z" id))]
struct InHeaders {
    id: u64,
}

fn main() {}
