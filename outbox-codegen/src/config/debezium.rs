//! `[debezium]`

use std::path::PathBuf;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of Kafka Connect with Debezium, for the tables of `[migrations]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Debezium {
    /// Directory of the files, relative to `outbox.toml`.
    pub(crate) dir: PathBuf,
    /// Name of connectors, publications and replication slots; unique on the PostgreSQL server.
    pub(crate) name: String,
    /// Kinds of payloads in the outbox.
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

/// Kinds of payloads in an outbox.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payloads {
    /// JSON and binary payloads: one connector for each. Requires PostgreSQL 15 or newer.
    #[default]
    Both,
    /// Only JSON: one connector, and a constraint that refuses binary payloads.
    Json,
}
