//! What the integration tests stand on: real servers, topics and databases of their own, and waiting for
//! states.
//!
//! A panic is a test's report, so nothing here returns an error that a test could only unwrap.

pub mod kafka;
pub mod servers;
mod wait;
pub mod writers;

pub use wait::wait_until;
