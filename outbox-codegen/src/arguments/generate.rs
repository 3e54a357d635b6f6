//! `outbox generate …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::shared::{CatalogSource, Database, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: Generated,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Write the outbox's tables as a reversible migration for sqlx; `psql` and `sqlite3` take it as well.
    Migration(GenerateMigration),
    /// Write a JSON Schema file for each event with `#[outbox(schema)]`: `<type>.v<N>.json`.
    Schemas(GenerateSchemas),
    /// Write an AsyncAPI 3.0 document of what the service sends.
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

    /// Write nothing; exit 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite files that differ.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateSchemas {
    #[command(flatten)]
    pub(crate) source: CatalogSource,

    /// The directory of the schemas; it is made if it is missing.
    #[arg(long, value_name = "PATH", default_value = "schemas")]
    pub(crate) dir: PathBuf,

    /// Write nothing; exit 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite files that differ.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateAsyncapi {
    #[command(flatten)]
    pub(crate) source: CatalogSource,

    /// The document.
    #[arg(long, value_name = "FILE", default_value = "asyncapi.json")]
    pub(crate) file: PathBuf,

    /// Write the same as one page for a browser as well; it needs nothing but itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// What the service is called [default: the package's name].
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// The version of the service's interface.
    #[arg(long = "api-version", value_name = "VERSION", default_value = "1.0.0")]
    pub(crate) version: String,

    /// Write nothing; exit 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite files that differ.
    #[arg(long)]
    pub(crate) force: bool,
}
