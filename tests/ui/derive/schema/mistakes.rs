//! `schema` where there is none.

use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, schema)]
struct NoSchemaV1 {
    id: u8,
}

#[derive(Serialize)]
struct Inner;

#[derive(Serialize, OutboxEvent)]
enum NoSchemas {
    #[outbox(topic = "t", aggregate = "a", key = id, schema)]
    OneV1 { id: u8, inner: Inner },
}

#[derive(Serialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, schema)]
struct HeldV1 {
    id: u8,
}

fn main() {}
