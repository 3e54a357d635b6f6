//! `[package]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The crate that declares the events. Default: the crate beside `outbox.toml`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Package {
    /// `Cargo.toml` of the crate, relative to `outbox.toml`.
    pub(crate) manifest_path: Option<PathBuf>,
    /// Name of the package, if the manifest is a workspace's.
    pub(crate) name: Option<String>,
    /// Dependencies whose events the package also sends. By default, only its own events count.
    pub(crate) include: Vec<String>,
    /// Features to compile the crate with.
    pub(crate) features: Vec<String>,
    /// Compile the crate with all features.
    pub(crate) all_features: bool,
    /// Compile the crate without its default features.
    pub(crate) no_default_features: bool,
}
