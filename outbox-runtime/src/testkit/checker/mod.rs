//! Compares what was committed with what came out, by the words of the delivery guarantee.
//!
//! - Every committed event is in the log or in the dead letters, and nothing else is.
//! - Event A *precedes* event B when both have one key and topic, and either they are in one transaction and A
//!   was emitted first, or A's transaction had committed before B's row was inserted. The first occurrences of
//!   a key's events in a topic come in that order.
//! - Any occurrence of an event carries its committed bytes, and each is like the first.
//!
//! Duplicates are listed, and whether a test may see any is the test's own business.
//!
//! ```
//! use outbox_runtime::testkit::checker::{Committed, CommittedEvent, DeliveredRecord, Written};
//! use uuid::Uuid;
//!
//! let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
//! let event = |id, written| CommittedEvent { id, topic: "orders", key: "k", value: Some(b"{}"), headers: &[], written };
//! let mut committed = Committed::new();
//! // A's commit had been acknowledged at time 2, and B's row was sent at time 3: A precedes B.
//! committed.event(event(a, Written { transaction: 1, position: 0, inserted: 1, committed: 2 }))?;
//! committed.event(event(b, Written { transaction: 2, position: 0, inserted: 3, committed: 4 }))?;
//!
//! let record = |id, offset| DeliveredRecord {
//!     topic: "orders", partition: 0, offset, id: Some(id), key: Some(b"k"), value: Some(b"{}"), headers: &[], timestamp_ms: None,
//! };
//! assert!(committed.check([record(a, 0), record(b, 1)], []).is_exact());
//! let report = committed.check([record(b, 0), record(a, 1)], []);
//! assert_eq!((report.out_of_order[0].first, report.out_of_order[0].second), (a, b));
//! # Ok::<(), outbox_runtime::testkit::checker::SameId>(())
//! ```

mod check;
mod committed;
mod digest;
mod order;
mod report;

pub use check::DeliveredRecord;
pub use committed::{Committed, CommittedEvent, SameId, Written};
pub use report::{Altered, Invented, Inversion, Occurrence, Place, Report, Scattered};

#[cfg(test)]
mod tests;
