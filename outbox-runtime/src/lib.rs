//! The transactional outbox: the row and the event, or neither.

pub mod record;
pub mod schema;
pub mod store;
mod wake;

pub use schema::{InvalidTables, Tables, migrate};
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use wake::RelayWaker;
