//! Variants with errors of their own.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
enum FileEvent {
    NoRoute { file_id: u64 },
    #[outbox(topic = "files", aggregate = "file", key = fileid)]
    WrongField { file_id: u64 },
    #[outbox(topic = "files", aggregate = "file", key = self.file_id)]
    SelfIsTheEnum { file_id: u64 },
    #[outbox(topic = "files", aggregate = "file", key = file_id, version = 3, crate = "x")]
    AddedV2 { file_id: u64 },
}

fn main() {}
