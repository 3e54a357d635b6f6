//! `outbox generate …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::shared::{Database, TableNames, Writing};
use crate::config::Payloads;

#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: Generated,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Write the outbox's tables as a reversible migration for sqlx; `psql` and `sqlite3` take it as well.
    Migration(GenerateMigration),
    /// Write configuration with which Kafka Connect and Debezium read the same table.
    Debezium(GenerateDebezium),
    /// Write the JSON Schema of `outbox.toml`, for editors.
    ConfigSchema(GenerateConfigSchema),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateMigration {
    /// The database to write SQL for.
    #[arg(long, value_enum)]
    pub(crate) database: Database,

    /// The directory of the migrations; it is made if it is missing.
    #[arg(long, value_name = "PATH", default_value = "migrations")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) tables: TableNames,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateDebezium {
    /// The directory of the files; it is made if it is missing.
    #[arg(long, value_name = "PATH", default_value = "debezium")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// What connectors, publications and replication slots are called, unique in the PostgreSQL server.
    #[arg(long, value_name = "NAME", default_value = "outbox")]
    pub(crate) name: String,

    /// Which payloads the outbox holds.
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) payloads: Payloads,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateConfigSchema {
    /// The directory of the file `outbox.schema.json`; it is made if it is missing.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) writing: Writing,
}
