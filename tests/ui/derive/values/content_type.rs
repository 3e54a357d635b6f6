//! Media types that a derived event's value does not have.

use outbox_runtime::OutboxEvent;

#[derive(serde::Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, content_type = "application/cloudevents+json")]
struct StructuredV1 {
    id: u8,
}

#[derive(serde::Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id)]
enum Events {
    #[outbox(content_type = "Application/CloudEvents-batch+JSON; charset=utf-8")]
    BatchV1 { id: u8 },
    #[outbox(content_type = "text/plain")]
    PlainV1 { id: u8 },
}

fn main() {}
