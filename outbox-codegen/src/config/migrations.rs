//! `[migrations]`

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::arguments::{Database, Format};

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
