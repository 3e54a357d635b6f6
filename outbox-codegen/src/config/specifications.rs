//! `[schemas]`, `[asyncapi]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// JSON Schema files of the events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schemas {
    /// The directory of the files, seen from this file's directory.
    #[serde(default = "schemas")]
    pub(crate) dir: PathBuf,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { dir: schemas() }
    }
}

/// An AsyncAPI document of what the service sends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asyncapi {
    /// The document, seen from this file's directory.
    #[serde(default = "document")]
    pub(crate) file: PathBuf,
    /// The document as one page for a browser.
    pub(crate) html: Option<PathBuf>,
    /// What the service is called; else it is the package's name.
    pub(crate) title: Option<String>,
    /// The version of what the service sends.
    #[serde(default = "version")]
    pub(crate) version: String,
}

fn schemas() -> PathBuf {
    "schemas".into()
}

fn document() -> PathBuf {
    "asyncapi.json".into()
}

fn version() -> String {
    "1.0.0".to_owned()
}
