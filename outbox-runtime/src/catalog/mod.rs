//! The events that a service declares, as data: what files, specifications and consumers are generated from.
//!
//! Each `#[derive(OutboxEvent)]` leaves an [`EventDescriptor`] in the program; [`Catalog::global`] has them all. That
//! costs a constant in the binary and a few nanoseconds before `main` for each event. `outbox catalog` shows the same for
//! a crate, without a line of code in it.

mod conflict;
#[cfg(feature = "schema")]
mod contracts;
mod decode;
pub(crate) mod descriptor;
mod document;
mod field_order;
#[cfg_attr(not(feature = "schema"), path = "no_json_schema.rs")]
pub(crate) mod json_schema;
#[cfg(feature = "schema")]
mod json_text;
#[cfg(feature = "schema")]
pub mod keywords;
mod lookup;
#[cfg(feature = "schema")]
mod portable;
pub(crate) mod registry;
#[cfg(feature = "schema")]
mod schema_file;
mod template;
mod warning;

pub use conflict::CatalogError;
pub use decode::{DecodeError, EncodedEvent};
pub use descriptor::EventDescriptor;
pub use document::{CatalogDocument, EventDescription, FieldSource, HeaderDescription, SourceLocation};
pub use lookup::Catalog;
#[cfg(feature = "schema")]
pub use schema_file::{Declaration, SchemaFile, SchemaFileError};
