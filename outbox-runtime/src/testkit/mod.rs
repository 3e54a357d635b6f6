//! Tools for tests.
//!
//! For services: a [`TestOutbox`] is a database of a test's own, with what handlers have emitted, a relay and a broker
//! in the same process, and failures on request. A [`checker`] compares what was committed with what was delivered.
//!
//! For implementers of stores and publishers: conformance suites, which panic at the first broken promise and name it.

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
#[cfg(any(feature = "postgres", all(feature = "kafka", feature = "sqlite")))]
mod servers;
mod store_suite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod test_outbox;

pub use memory::{MemoryBroker, MemoryPublisher, MemoryRecord};
pub use publisher_suite::{PublisherHarness, publisher_suite};
pub use store_suite::{NewMessage, StoreHarness, store_suite};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use test_outbox::{Consumed, Emitted, TestBroker, TestDatabase, TestOutbox};
