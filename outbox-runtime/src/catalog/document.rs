//! A catalog written down: the same events give the same text, everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::warning;

/// All events of one crate, in the order of type, version and Rust path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogDocument {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The crate that declares the events.
    pub package: String,
    /// The events.
    pub events: Vec<EventDescription>,
}

impl CatalogDocument {
    /// Likely errors: see [`Catalog::warnings`](super::Catalog::warnings).
    pub fn warnings(&self) -> Vec<String> {
        warning::of_document(&self.events)
    }
}

/// One event, as declared in its derive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDescription {
    /// The type, sent as `ce_type`, such as `OrderPlacedV1`.
    pub event_type: String,
    /// The version of the type.
    pub version: u32,
    /// The topic: a name, or a template with `{field}` in it.
    pub topic: String,
    /// The type of the entity that the event is about.
    pub aggregate: String,
    /// The key, as written in the derive, such as `order_id` or `self.key()`.
    pub key: String,
    /// The payload's media type.
    pub content_type: String,
    /// The CloudEvents source, if the event sets one.
    pub source: Option<String>,
    /// The source of the record's timestamp, if the event sets one.
    pub occurred_at: Option<String>,
    /// The source of the correlation id, if the event sets one.
    pub correlation_id: Option<String>,
    /// Further Kafka headers, in order of declaration.
    pub headers: Vec<HeaderDescription>,
    /// The type's path, such as `shop::events::OrderPlacedV1`; a variant follows its enum.
    pub rust_type: String,
    /// The source location.
    pub location: SourceLocation,
    /// The doc comment, without its markers; empty if there is none.
    pub doc: String,
    /// The payload's JSON Schema (2020-12), if the event has `#[outbox(schema)]`.
    pub schema: Option<serde_json::Value>,
}

/// A Kafka header that an event declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderDescription {
    /// The header's name.
    pub name: String,
    /// The source of the value.
    pub value: FieldSource,
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldSource {
    /// The same text in each event.
    Literal(String),
    /// A field or expression of the event, as written in the derive.
    Field(String),
}

/// A place in source code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLocation {
    /// The file's path, as the compiler knows it.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
