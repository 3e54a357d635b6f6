//! Compares the records that a service publishes itself with those that the outbox sends, in mode
//! [`Shadow`](crate::modes::Mode::Shadow).

mod compare;
mod kafka;
mod report;

pub use compare::{ShadowedRecord, compare};
pub use kafka::{ShadowComparison, ShadowComparisonError};
pub use report::{Compared, Examples, Latency, Position, ShadowReport};
