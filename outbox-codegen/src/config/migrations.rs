//! `[migrations]`

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use outbox_runtime::schema::Dialect;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// Migrations of the outbox tables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Migrations {
    /// The database system.
    pub(crate) database: Database,
    /// Directory of the migrations, relative to `outbox.toml`.
    #[serde(default = "migrations")]
    pub(crate) dir: PathBuf,
    /// Migration tool [default: the tool of the existing migrations, or sqlx].
    pub(crate) format: Option<Format>,
    /// Store the messages in partitions of this many rows; PostgreSQL only.
    pub(crate) partitioned: Option<PartitionRows>,
    /// PostgreSQL schema of the tables [default: from search_path].
    pub(crate) schema: Option<String>,
    /// Prefix of the tables' names [default: `outbox_`].
    pub(crate) prefix: Option<String>,
}

/// A database system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Database {
    Postgres,
    Sqlite,
}

impl From<Database> for Dialect {
    fn from(database: Database) -> Self {
        match database {
            Database::Postgres => Self::Postgres,
            Database::Sqlite => Self::Sqlite,
        }
    }
}

/// What runs the migrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Reversible migrations for sqlx; also work with `psql` and `sqlite3`.
    #[default]
    Sqlx,
    /// Plain SQL for Flyway and refinery: `V<version>__<name>.sql`, with the down migration beside it.
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

/// Number of rows in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct PartitionRows(u32);

/// As the command line has it.
const FEWEST: u32 = 1_000;

impl PartitionRows {
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for PartitionRows {
    type Error = String;

    fn try_from(rows: u32) -> Result<Self, String> {
        if rows >= FEWEST {
            Ok(Self(rows))
        } else {
            Err(format!("{rows} rows are too few: write {FEWEST} or more"))
        }
    }
}

impl JsonSchema for PartitionRows {
    fn schema_name() -> Cow<'static, str> {
        "PartitionRows".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": FEWEST })
    }
}

fn migrations() -> PathBuf {
    "migrations".into()
}
