//! Compares what a service has published itself with what the outbox has sent beside it, in mode
//! [`Shadow`](crate::modes::Mode::Shadow).

mod compare;
mod kafka;
mod report;

pub use compare::{ShadowedRecord, compare};
pub use kafka::{ShadowComparison, ShadowComparisonError};
pub use report::{Compared, Examples, Latency, Position, ShadowReport};
