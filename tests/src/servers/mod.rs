//! Real servers: those that `./tests/run` started for everyone, and those that a test starts for itself in
//! order to break them.
//!
//! A server of a test's own is killed and its folder removed when its value is dropped, also when the test
//! panics, and it does not outlive the test's process either.

mod certificates;
mod cluster;
mod connect;
mod disk;
mod environment;
mod folder;
mod kafka;
mod pair;
mod pgbouncer;
mod port;
mod postgres;
pub(crate) mod process;
mod prometheus;

pub use certificates::Certificates;
pub use cluster::{KafkaCluster, Listener};
pub use connect::{ConnectOffsets, KafkaConnect};
pub use disk::BoundedDisk;
pub use environment::{PostgresVersion, brokers, database_url, variables};
pub use kafka::{Encrypted, KafkaServer};
pub use pair::pair;
pub use pgbouncer::{PgBouncer, PoolMode};
pub use postgres::{BaseBackup, PostgresServer};
pub use prometheus::{Alert, Prometheus, Sample, Series};
