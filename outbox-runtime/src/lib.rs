//! The transactional outbox: the row and the event, or neither.

pub mod record;
mod schema;
pub mod store;
mod wake;

pub use schema::{InvalidTables, Tables};
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use wake::RelayWaker;
