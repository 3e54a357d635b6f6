//! What the integration tests stand on: real servers, topics and databases of their own, and waiting for
//! states.
//!
//! A panic is a test's report, so nothing here returns an error that a test could only unwrap.

mod database;
pub mod delay;
pub mod kafka;
pub mod numbers;
pub mod program;
pub mod proxy;
pub mod servers;
pub mod torture;
mod wait;
pub mod writers;

pub use database::TestDatabase;
pub use program::program;
pub use wait::wait_until;
