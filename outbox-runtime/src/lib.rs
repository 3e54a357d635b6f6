//! The transactional outbox: the row and the event, or neither.

pub mod publisher;
pub mod record;
pub mod relay;
pub mod schema;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod wake;

#[cfg(feature = "kafka")]
pub use publisher::KafkaPublisher;
pub use relay::{Relay, RelayConfig, RelayError, RelayProgress, RelayReport, RunningRelay};
pub use schema::{InvalidTables, Tables, migrate};
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use wake::RelayWaker;
