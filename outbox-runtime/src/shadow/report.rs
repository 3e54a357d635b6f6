//! What a comparison found.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
}

impl Position {
    /// Creates a position in a topic.
    pub fn new(partition: i32, offset: i64) -> Self {
        Self { partition, offset }
    }
}

/// A difference, or a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// The key, as text.
    pub key: Option<String>,
    /// The header `ce_id`.
    pub id: Option<String>,
    /// The record of the service's own publishing.
    pub own: Option<Position>,
    /// The record of the outbox.
    pub shadow: Option<Position>,
}

/// How much later the outbox's records arrived; negative if earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// The median, in milliseconds.
    pub median_ms: i64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: i64,
    /// The largest, in milliseconds.
    pub max_ms: i64,
}

/// The differences between a topic and its shadow. Its JSON is a stable format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShadowReport {
    /// Records of the service's own publishing that were compared.
    pub own: u64,
    /// Records of the outbox that were compared.
    pub shadow: u64,
    /// Pairs that were found.
    pub matched: u64,
    /// Whether all records of the period were read.
    pub complete: bool,
    /// Number of records that the service published and the outbox did not.
    pub missing: u64,
    /// Number of records that the outbox sent and the service did not.
    pub extra: u64,
    /// Number of records in another order within their key.
    pub reordered: u64,
    /// Number of pairs with different keys or values.
    pub changed: u64,
    /// The first differences of each kind.
    pub examples: Examples,
    /// `None` unless both topics have `message.timestamp.type=LogAppendTime`.
    pub latency: Option<Latency>,
}

/// The first differences of each kind, at most twenty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Examples {
    /// Records without a record of the outbox.
    pub missing: Vec<Compared>,
    /// Records without a record of the service.
    pub extra: Vec<Compared>,
    /// Records in another order.
    pub reordered: Vec<Compared>,
    /// Pairs with different keys or values.
    pub changed: Vec<Compared>,
}

const EXAMPLES: usize = 20;

/// Counts a difference, and keeps the first ones.
pub(super) fn note(count: &mut u64, examples: &mut Vec<Compared>, one: impl FnOnce() -> Compared) {
    *count += 1;
    if examples.len() < EXAMPLES {
        examples.push(one());
    }
}

impl ShadowReport {
    /// Whether all records of the period were read and none differs.
    pub fn is_equal(&self) -> bool {
        self.complete && self.missing == 0 && self.extra == 0 && self.reordered == 0 && self.changed == 0
    }
}

/// The time of the records that are judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
}

impl Span {
    pub(super) fn contains(&self, timestamp_ms: Option<i64>) -> bool {
        let Some(at) = timestamp_ms else { return true };
        self.from.is_none_or(|from| at >= from.timestamp_millis())
            && self.to.is_none_or(|to| at < to.timestamp_millis())
    }
}
