//! `outbox generate …`

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::Deserialize;

use super::shared::{CatalogSource, Database, Partitions, TableNames, Writing};
use crate::config::{Language, Payloads};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: Option<Generated>,

    #[command(flatten)]
    pub(crate) all: GenerateAll,
}

/// Everything that `outbox.toml` lists.
#[derive(Debug, Args)]
pub(crate) struct GenerateAll {
    /// Write everything that `outbox.toml` lists.
    #[arg(long, required = true)]
    all: bool,

    #[command(flatten)]
    pub(crate) source: CatalogSource,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Write the outbox's tables as a reversible migration; in a directory that holds an older version, what
    /// leads from there to this one.
    Migration(GenerateMigration),
    /// Write configuration with which Kafka Connect and Debezium read the same table.
    Debezium(GenerateDebezium),
    /// Write what consumers decode the events with.
    Consumers(GenerateConsumers),
    /// Write the JSON Schema of `outbox.toml`, for editors.
    ConfigSchema(GenerateConfigSchema),
    /// Write a JSON Schema file for each event with `#[outbox(schema)]`: `<type>.v<N>.json`.
    Schemas(GenerateSchemas),
    /// Write an AsyncAPI 3.1 document of what the service sends.
    Asyncapi(GenerateAsyncapi),
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
    pub(crate) partitions: Partitions,

    /// What the files are made for [default: what the directory's migrations are made for, else sqlx].
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// The Alembic revision that a new one stands behind [default: the directory's only head].
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    pub(crate) down_revision: Option<String>,

    /// Write nothing; exit 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite files of the newest step that differ; those of older steps stay as they are.
    #[arg(long)]
    pub(crate) force: bool,
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
pub(crate) struct GenerateConsumers {
    #[command(flatten)]
    pub(crate) source: CatalogSource,

    /// The language of the consumers.
    #[arg(long = "lang", value_enum, value_name = "LANGUAGE")]
    pub(crate) language: Language,

    /// The directory of the files; it is made if it is missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: PathBuf,

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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Reversible migrations of sqlx; `psql` and `sqlite3` take them as well.
    #[default]
    Sqlx,
    /// Plain SQL, named as Flyway and refinery want it: `V<version>__<name>.sql`, the way back beside it.
    Sql,
    /// An Alembic revision in Python.
    Alembic,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlx => "sqlx",
            Self::Sql => "sql",
            Self::Alembic => "alembic",
        })
    }
}

/// It is put into Python as it is.
fn revision(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("write a revision's id, as `alembic heads` shows it".to_owned())
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateSchemas {
    #[command(flatten)]
    pub(crate) source: CatalogSource,

    /// The directory of the schemas; it is made if it is missing [default: what outbox.toml says, else schemas].
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateAsyncapi {
    #[command(flatten)]
    pub(crate) source: CatalogSource,

    /// The document.
    #[arg(long, value_name = "FILE", default_value = "asyncapi.json")]
    pub(crate) file: PathBuf,

    /// Write the document as one page for a browser as well; it needs nothing but itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// What the service is called [default: the package's name].
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// The version of what the service sends.
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    pub(crate) version: String,

    #[command(flatten)]
    pub(crate) writing: Writing,
}
