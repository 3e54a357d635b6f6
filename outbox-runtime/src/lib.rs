//! The transactional outbox: the row and the event, or neither.

pub mod schema;
mod wake;

pub use schema::{InvalidTables, Tables, migrate};
pub use wake::RelayWaker;
