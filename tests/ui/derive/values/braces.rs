//! Templates are for topics.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "{kind}", key = id, source = "/x/{kind}", event_type = "{kind}V1")]
struct Braces {
    id: u64,
    kind: String,
}

fn main() {}
