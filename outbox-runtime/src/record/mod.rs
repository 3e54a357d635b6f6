//! Stored messages, read page by page, and their Kafka headers.

mod page;
pub(crate) mod rules;
pub(crate) mod size;
mod wire;

pub use page::{OutboxRecord, RecordFields, RecordPage};
pub use wire::{InvalidHeaders, WireOptions};
