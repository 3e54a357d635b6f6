//! What consumers decode events with: an enum over the event's types, by the type that `ce_type` names.
//!
//! In Rust, the events are the producer's own types. In other languages they are made from the events' JSON Schemas, by
//! the generators that their communities use, and only what leads to them is written here.

mod declared;
mod definitions;
mod names;
mod python;
mod rust;
mod tool;
mod typescript;

use outbox_runtime::catalog::CatalogDocument;

use crate::artifact::{Artifact, generated_by};
use crate::config::Language;
use crate::failure::Failure;
use names::Named;

/// The files for consumers in one language.
pub(crate) fn files(catalog: &CatalogDocument, language: Language) -> Result<Vec<Artifact>, Failure> {
    let events = names::named(catalog)?;
    match language {
        Language::Rust => Ok(vec![rust::file(catalog, &events)]),
        Language::Python => python::files(catalog, &with_schemas(&events)?),
        Language::Typescript => typescript::files(catalog, &with_schemas(&events)?),
    }
}

/// The same events, if each has a schema.
fn with_schemas<'e, 'c>(
    events: &'e [Named<'c>],
) -> Result<Vec<(&'e Named<'c>, &'c serde_json::Value)>, Failure> {
    let without = events.iter().filter(|named| named.event.schema.is_none());
    let without: Vec<String> = without
        .map(|named| format!("{} ({})", named.event.event_type, named.event.rust_type))
        .collect();
    if !without.is_empty() {
        return Err(Failure::usage(format!(
            "these events have no JSON Schema:\n  {}",
            without.join("\n  ")
        ))
        .advise("derive schemars::JsonSchema for them and add #[outbox(schema)]"));
    }
    let pairs = events
        .iter()
        .filter_map(|named| Some((named, named.event.schema.as_ref()?)));
    Ok(pairs.collect())
}

/// The command that writes the files for consumers in one language.
pub(crate) fn command(language: Language) -> String {
    let language = match language {
        Language::Rust => "rust",
        Language::Python => "python",
        Language::Typescript => "typescript",
    };
    format!("outbox generate consumers --lang {language}")
}

/// The first words of each file.
fn generated(language: Language) -> String {
    generated_by(&command(language))
}
