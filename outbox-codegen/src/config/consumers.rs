//! `[consumers.rust]`, `[consumers.python]`, `[consumers.typescript]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// What consumers decode events with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Consumers {
    /// An enum over the producer's own event types.
    pub(crate) rust: Option<Consumer>,
    /// Pydantic models.
    pub(crate) python: Option<Consumer>,
    /// TypeScript types.
    pub(crate) typescript: Option<Consumer>,
}

/// Code for consumers in one language.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consumer {
    /// The directory of its files, seen from the file's directory.
    pub(crate) dir: PathBuf,
}
