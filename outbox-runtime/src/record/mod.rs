//! Stored messages as they are read back, a page at a time, and what they look like on the wire.

mod page;
pub(crate) mod rules;
pub(crate) mod size;
mod wire;

pub use page::{OutboxRecord, RecordFields, RecordPage};
pub use wire::{InvalidHeaders, WireOptions};
