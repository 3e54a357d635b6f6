//! A form that cannot be emitted is no form.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

struct NoText;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, instances(Wrapper<NoText>))]
struct Wrapper<T> {
    id: T,
}

fn main() {}
