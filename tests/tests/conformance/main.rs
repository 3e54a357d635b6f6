//! The toolkit's suites, run on every implementation that it brings: stores on SQLite and on PostgreSQL in the
//! distribution's, the oldest and the newest supported version; publishers in memory, on librdkafka's mock
//! cluster and on Apache Kafka.

mod publishers;
mod stores;
mod testkit;
mod testkit_servers;
