//! `transparent` where it cannot be.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "files", aggregate = "file", key = id)]
struct Inner {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
enum FileEvent {
    #[outbox(transparent)]
    Two(Inner, Inner),
    #[outbox(transparent)]
    None,
    #[outbox(transparent, topic = "files")]
    Both(Inner),
}

#[derive(Serialize, OutboxEvent)]
enum NoEvent {
    #[outbox(transparent)]
    Text(String),
}

#[derive(Serialize, OutboxEvent)]
#[outbox(transparent)]
struct Newtype(Inner);

fn main() {}
