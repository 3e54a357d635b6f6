//! `[consumers.rust]`, `[consumers.python]`, `[consumers.typescript]`

use std::path::PathBuf;

use clap::ValueEnum;
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

/// A language that consumers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// An enum over the producer's own event types.
    Rust,
    /// Pydantic models, by datamodel-code-generator.
    Python,
    /// Types, by json-schema-to-typescript.
    Typescript,
}

impl Consumers {
    /// The sections that are there.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (Language, &Consumer)> {
        let sections = [
            (Language::Rust, &self.rust),
            (Language::Python, &self.python),
            (Language::Typescript, &self.typescript),
        ];
        sections
            .into_iter()
            .filter_map(|(language, section)| Some((language, section.as_ref()?)))
    }
}

/// Code for consumers in one language.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consumer {
    /// The directory of its files, seen from the file's directory.
    pub(crate) dir: PathBuf,
}
