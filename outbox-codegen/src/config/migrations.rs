//! `[migrations]`

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::arguments::{Database, Format};

/// The outbox's tables, as migrations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Migrations {
    /// The database to write SQL for.
    pub(crate) database: Database,
    /// The directory of the migrations, seen from the file's directory.
    #[serde(default = "migrations")]
    pub(crate) dir: PathBuf,
    /// What the files are made for [default: what the directory's migrations are made for, else sqlx].
    pub(crate) format: Option<Format>,
    /// Store the messages in partitions of so many rows; PostgreSQL only.
    pub(crate) partitioned: Option<PartitionRows>,
    /// The PostgreSQL schema of the tables [default: what search_path leads to].
    pub(crate) schema: Option<String>,
    /// What the tables' names begin with [default: `outbox_`].
    pub(crate) prefix: Option<String>,
}

/// How many rows a partition holds.
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
