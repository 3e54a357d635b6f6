//! The events that a service declares, as data: what files, specifications and consumers are generated from.

#[cfg(feature = "schema")]
pub mod compatibility;
mod document;
#[cfg(feature = "schema")]
mod json_text;
#[cfg(feature = "schema")]
mod schema_file;

pub use document::{CatalogDocument, EventDescription, FieldSource, HeaderDescription, SourceLocation};
#[cfg(feature = "schema")]
pub use schema_file::{SchemaFile, SchemaFileError};
