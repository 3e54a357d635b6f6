//! `[debezium]`

use std::path::PathBuf;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of Kafka Connect with Debezium, for the same tables as the migrations'.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Debezium {
    /// The directory of its files, seen from the file's directory.
    pub(crate) dir: PathBuf,
    /// What connectors, publications and replication slots are called, unique in the PostgreSQL server.
    pub(crate) name: String,
    /// Which payloads the outbox holds.
    pub(crate) payloads: Payloads,
}

impl Default for Debezium {
    fn default() -> Self {
        Self {
            dir: "debezium".into(),
            name: "outbox".to_owned(),
            payloads: Payloads::default(),
        }
    }
}

/// Which payloads an outbox holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payloads {
    /// JSON and binary ones: a connector for each, told apart by PostgreSQL 15 or newer.
    #[default]
    Both,
    /// JSON alone: one connector, and the table is told to refuse binary payloads.
    Json,
}
