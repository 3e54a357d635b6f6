//! Tools for tests: a broker in memory, conformance suites for stores and publishers, and a checker that
//! compares what was committed with what was delivered.
//!
//! The suites panic at the first broken promise and name it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test kit a panic is the report"
)]

pub mod checker;
mod dead_letter_cases;
mod fencing_cases;
mod memory;
mod publisher_suite;
mod store_suite;

pub use memory::{MemoryBroker, MemoryPublisher, MemoryRecord};
pub use publisher_suite::{PublisherHarness, publisher_suite};
pub use store_suite::{NewMessage, StoreHarness, store_suite};
