//! How `schema` is written.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, schema = "file.json")]
struct ValuedV1 {
    id: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, shcema, json_schema)]
struct MisspeltV1 {
    id: u8,
}

#[derive(Serialize, OutboxEvent)]
enum Held {
    #[outbox(transparent, schema)]
    One(OtherV1),
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id)]
struct OtherV1 {
    id: u8,
}

fn main() {}
