//! For tests: a broker in memory, the suites that every store and every publisher has to pass, and a checker
//! that compares what was committed with what was delivered.
//!
//! The suites panic at the first broken promise and say which one it was.

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
