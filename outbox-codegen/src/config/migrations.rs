//! `[migrations]`

use std::path::PathBuf;

use schemars::JsonSchema;
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
    /// What the files are made for.
    #[serde(default)]
    pub(crate) format: Format,
    /// The PostgreSQL schema of the tables [default: what search_path leads to].
    pub(crate) schema: Option<String>,
    /// What the tables' names begin with [default: `outbox_`].
    pub(crate) prefix: Option<String>,
}

fn migrations() -> PathBuf {
    "migrations".into()
}
