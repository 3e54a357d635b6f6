//! Topics that are made while the program runs.

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = format!("orders.{region}"), aggregate = "order", key = region)]
struct Formatted {
    region: String,
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = self.topic(), aggregate = "order", key = region)]
struct Called {
    region: String,
}

fn main() {}
