//! `[package]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The crate that declares the events. Without this section: the one beside `outbox.toml`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Package {
    /// The crate's `Cargo.toml`, seen from the file's directory.
    pub(crate) manifest_path: Option<PathBuf>,
    /// The package's name, where the manifest is of a workspace.
    pub(crate) name: Option<String>,
    /// Packages that it depends on, and whose events it sends as well: by themselves, only its own events count.
    pub(crate) include: Vec<String>,
    /// Features to compile the crate with.
    pub(crate) features: Vec<String>,
    /// Compile the crate with all its features.
    pub(crate) all_features: bool,
    /// Compile the crate without its default features.
    pub(crate) no_default_features: bool,
}
