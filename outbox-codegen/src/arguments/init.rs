//! `outbox init`

use std::path::PathBuf;

use clap::Args;

use super::shared::Database;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The database of the service.
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) database: Database,

    /// The service's Cargo.toml, or its workspace's [default: the nearest one].
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,

    /// The service, where the workspace has several packages with a program.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,

    /// The directory of the service's migrations [default: the one that is there, else migrations].
    #[arg(long, value_name = "PATH")]
    pub(crate) migrations: Option<PathBuf>,

    /// Depend on the toolkit's sources in this directory, and not on a registry's.
    #[arg(long, value_name = "PATH")]
    pub(crate) toolkit: Option<PathBuf>,
}
