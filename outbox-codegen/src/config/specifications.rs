//! `[schemas]`, `[asyncapi]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// JSON Schema files of the events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schemas {
    /// Directory of the files, relative to `outbox.toml`.
    #[serde(default = "schemas")]
    pub(crate) dir: PathBuf,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { dir: schemas() }
    }
}

/// An AsyncAPI document of the events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asyncapi {
    /// File of the document, relative to `outbox.toml`.
    #[serde(default = "document")]
    pub(crate) file: PathBuf,
    /// File of the document as one HTML page.
    pub(crate) html: Option<PathBuf>,
    /// Title of the document [default: the package's name].
    pub(crate) title: Option<String>,
    /// Version of the document.
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
