//! `outbox init`

use std::path::PathBuf;

use clap::Args;

use super::shared::Database;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The database of the service.
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) database: Database,

    /// The service's Cargo.toml.
    #[arg(long, value_name = "PATH", default_value = "Cargo.toml")]
    pub(crate) manifest_path: PathBuf,

    /// Depend on the toolkit's sources in this directory, and not on a registry's.
    #[arg(long, value_name = "PATH")]
    pub(crate) toolkit: Option<PathBuf>,
}
