//! `outbox schema …`

use clap::{Args, Subcommand, ValueEnum};
use outbox_compatibility::Compatibility;

use super::shared::CatalogOptions;

#[derive(Debug, Args)]
pub(crate) struct Schema {
    #[command(subcommand)]
    pub(crate) what: SchemaCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Compare the events with earlier schemas. Exit with 3 if a change is incompatible.
    ///
    /// Readers are assumed to use serde and to ignore unknown fields. A change that cannot be classified
    /// counts as incompatible.
    Check(SchemaCheck),
}

#[derive(Debug, Args)]
pub(crate) struct SchemaCheck {
    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    /// Directory of the earlier schemas, or `git:<revision>[:<directory>]` (default directory: schemas).
    #[arg(long, value_name = "WHERE")]
    pub(crate) against: String,

    /// Required direction of compatibility.
    #[arg(long, value_enum, default_value_t = Wanted::Full)]
    pub(crate) compatibility: Wanted,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wanted {
    /// Backward and forward.
    Full,
    /// New readers read old data.
    Backward,
    /// Old readers read new data.
    Forward,
    /// List the changes, and accept all of them.
    None,
}

impl From<Wanted> for Compatibility {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Full => Self::Full,
            Wanted::Backward => Self::Backward,
            Wanted::Forward => Self::Forward,
            Wanted::None => Self::None,
        }
    }
}
