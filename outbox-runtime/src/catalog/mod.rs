//! The events that a service declares, as data: what files, specifications and consumers are generated from.
//!
//! Each `#[derive(OutboxEvent)]` leaves an [`EventDescriptor`] in the program; [`Catalog::global`] has them all. That
//! costs a constant in the binary and a few nanoseconds before `main` for each event. `outbox catalog` shows the same for
//! a crate, without a line of code in it.

mod conflict;
mod decode;
pub(crate) mod descriptor;
mod document;
#[cfg_attr(not(feature = "schema"), path = "no_json_schema.rs")]
pub(crate) mod json_schema;
mod lookup;
pub(crate) mod registry;
mod template;

pub use conflict::CatalogError;
pub use decode::{DecodeError, EncodedEvent};
pub use descriptor::EventDescriptor;
pub use document::{CatalogDocument, EventDescription, FieldSource, HeaderDescription, SourceLocation};
pub use lookup::Catalog;
