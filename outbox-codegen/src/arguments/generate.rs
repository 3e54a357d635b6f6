//! `outbox generate …`

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::shared::{Database, Partitions, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: Generated,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Write the outbox's tables as a reversible migration; in a directory that holds an older version, what
    /// leads from there to this one.
    Migration(GenerateMigration),
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

    /// What the files are made for.
    #[arg(long, value_enum, default_value_t = Format::Sqlx)]
    pub(crate) format: Format,

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Reversible migrations of sqlx; `psql` and `sqlite3` take them as well.
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
