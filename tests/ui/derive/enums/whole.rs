//! Enums that say for all variants what only one can be, enums without variants, and unions.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(event_type = "File", version = 1, topic = "files.{batch}", aggregate = "file", key = file_id)]
enum FileEvent {
    Added { file_id: u64, batch: u64 },
    Removed { file_id: u64 },
}

#[derive(Serialize, OutboxEvent)]
enum Nothing {}

#[derive(OutboxEvent)]
union Bits {
    a: u32,
    b: f32,
}

fn main() {}
