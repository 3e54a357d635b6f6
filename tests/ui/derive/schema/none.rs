//! `schema` where there is none.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, schema)]
struct NoSchemaV1 {
    id: u8,
}

fn main() {}
