//! The transactional outbox: the row and the event, or neither.

mod schema;
mod wake;

pub use schema::{InvalidTables, Tables};
pub use wake::RelayWaker;
