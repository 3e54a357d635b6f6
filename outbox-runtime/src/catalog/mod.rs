//! The events that a service declares, as data: what files, specifications and consumers are generated from.

mod document;

pub use document::{CatalogDocument, EventDescription, FieldSource, HeaderDescription, SourceLocation};
