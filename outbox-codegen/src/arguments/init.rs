//! `outbox init`

use std::path::PathBuf;

use clap::Args;

use crate::config::Database;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Database system of the service.
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) database: Database,

    /// Cargo.toml of the service or of its workspace [default: the nearest one].
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,

    /// Package of the service, if the workspace has several packages with a program.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,

    /// Directory of the service's migrations [default: the existing one, or migrations].
    #[arg(long, value_name = "PATH")]
    pub(crate) migrations: Option<PathBuf>,

    /// Depend on the toolkit's sources in this directory instead of published crates.
    #[arg(long, value_name = "PATH")]
    pub(crate) toolkit: Option<PathBuf>,
}
