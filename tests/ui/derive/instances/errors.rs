//! The forms of a generic event.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, instances(Plain))]
struct Plain {
    id: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, instances())]
struct NoneNamed<T> {
    id: T,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, instances = "Wrong<u8>")]
struct Wrong<T> {
    id: T,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, instances(Others, Other<u8>, Others<u8>, Others<u8>))]
struct Others<T> {
    id: T,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, event_type = "X", instances("OneV1" = Half<u8>, Half<u16>))]
struct Half<T> {
    id: T,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, instances("OneV1" = Choice<u8>))]
enum Choice<T> {
    One { id: T },
    #[outbox(instances(Choice<u16>))]
    Two { id: T },
}

fn main() {}
