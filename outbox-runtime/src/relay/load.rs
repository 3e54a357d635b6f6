//! How much is in flight, and how much may be.

use tokio::time::Instant;

use crate::record::OutboxRecord;

/// Records that the publisher has, of all topics or of one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// When one of them was settled last, or came where none was.
    pub(super) moved: Option<Instant>,
}

/// How much may be in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Load {
    /// This and something else.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            ..self
        }
    }

    /// Whether something of this size fits beside it. What is larger than the bound goes alone.
    pub(super) fn has_room(&self, bytes: usize, bounds: Bounds) -> bool {
        self.records == 0
            || (self.records < bounds.records && self.bytes.saturating_add(bytes) <= bounds.bytes)
    }
}

/// What a record weighs against the bound on bytes.
pub(super) fn weight(record: &OutboxRecord<'_>) -> usize {
    record.payload.map_or(0, <[u8]>::len) + record.key.len() + record.headers.len()
}
