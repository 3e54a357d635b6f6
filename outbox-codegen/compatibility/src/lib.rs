//! Whether the events of today and those of yesterday understand each other: `outbox schema check`, and a test of one
//! line in a service.
//!
//! ```no_run
//! #[test]
//! fn events_are_compatible() {
//!     outbox_compatibility::assert_compatible("schemas");
//! }
//! ```
//!
//! "Backward": new readers read old data. "Forward": old readers read new data. A reader is serde with unknown fields
//! ignored, not a validator of JSON Schema. A change whose effect is unknown counts as breaking.

mod assertion;
mod changes;
mod event;
mod judgement;
mod merge;
mod numbers;
mod parse;
mod path;
mod reading;
mod report;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use outbox_runtime::catalog::{CatalogDocument, SchemaFile, SchemaFileError};

pub use assertion::assert_compatible;
pub use report::{
    Break, Compatibility, CompatibilityReport, Difference, Direction, EventComparison, EventState,
};

/// Compares a catalog with the schemas of an earlier one.
///
/// Versions of one type are distinguished by a number that no record carries. So a version that is new under a type
/// that is there is compared with the latest one before it, unless both are declared, for topics of their own.
///
/// # Errors
/// If the catalog's events have no file names of their own, or `old` holds one event twice.
pub fn compare(
    old: &[SchemaFile],
    catalog: &CatalogDocument,
    compatibility: Compatibility,
) -> Result<CompatibilityReport, SchemaFileError> {
    let new = SchemaFile::all(catalog)?;
    let before = SchemaFile::by_version(old)?;
    let mut events: Vec<EventComparison> = new.iter().map(|file| compared(file, &before, &new)).collect();
    events.extend(removed(&before, catalog));
    events.extend(unchecked(&before, catalog));
    events.sort_by(|one, other| (&one.event_type, one.version).cmp(&(&other.event_type, other.version)));
    Ok(CompatibilityReport::new(compatibility, events))
}

fn compared(
    new: &SchemaFile,
    before: &BTreeMap<(&str, u32), &SchemaFile>,
    all: &[SchemaFile],
) -> EventComparison {
    let name = new.event_type();
    let apart = |old: &SchemaFile| {
        let mut still = all
            .iter()
            .filter(|file| (file.event_type(), file.version()) == (name, old.version()));
        old.declaration().topic != new.declaration().topic
            && still.any(|still| still.declaration().topic == old.declaration().topic)
    };
    let same = before.get(&(name, new.version()));
    let earlier = || {
        before
            .range((name, 0)..(name, new.version()))
            .next_back()
            .map(|(_, old)| old)
    };
    let old = same.or_else(|| earlier().filter(|old| !apart(old)));
    let differences = old.map(|old| event::differences(old, new)).unwrap_or_default();
    let state = match old {
        None => EventState::New,
        Some(old) if differences.is_empty() && old.version() == new.version() => EventState::Unchanged,
        Some(_) => EventState::Changed,
    };
    EventComparison {
        event_type: name.to_owned(),
        version: new.version(),
        compared_with: old.map(|old| old.version()),
        state,
        differences,
    }
}

/// Those of which no version is declared any more: a later one of the same type has been compared with them.
fn removed(before: &BTreeMap<(&str, u32), &SchemaFile>, catalog: &CatalogDocument) -> Vec<EventComparison> {
    let gone = before.iter().filter(|((name, version), _)| {
        let mut declared = catalog.events.iter().filter(|event| event.event_type == *name);
        !declared.any(|event| event.version >= *version)
    });
    let broken = |direction, reason: &str| Break {
        direction,
        reason: reason.to_owned(),
    };
    gone.map(|((name, version), _)| EventComparison {
        event_type: (*name).to_owned(),
        version: *version,
        compared_with: Some(*version),
        state: EventState::Removed,
        differences: vec![Difference {
            path: "event".to_owned(),
            change: "no event of this type is declared any more".to_owned(),
            breaks: vec![
                broken(
                    Direction::Backward,
                    "its records are still in the topic, and no type is there to read them",
                ),
                broken(Direction::Forward, "old readers wait for it in vain"),
            ],
            advice: Some(
                "once nobody reads it, retire it: delete its schema file in the same change".to_owned(),
            ),
        }],
    })
    .collect()
}

/// Without a schema there is nothing to compare; an event that had one must not slip through.
fn unchecked(before: &BTreeMap<(&str, u32), &SchemaFile>, catalog: &CatalogDocument) -> Vec<EventComparison> {
    let without = catalog.events.iter().filter(|event| event.schema.is_none());
    without
        .map(|event| {
            let had = before
                .range((event.event_type.as_str(), 0)..=(event.event_type.as_str(), event.version))
                .next_back();
            let reason = "cannot tell: the event had a schema, and has none now";
            let broken = |direction| Break {
                direction,
                reason: reason.to_owned(),
            };
            let difference = had.map(|_| Difference {
                path: "event".to_owned(),
                change: "has no schema any more".to_owned(),
                breaks: vec![broken(Direction::Backward), broken(Direction::Forward)],
                advice: Some("give it `#[outbox(schema)]` again".to_owned()),
            });
            EventComparison {
                event_type: event.event_type.clone(),
                version: event.version,
                compared_with: had.map(|((_, version), _)| *version),
                state: if had.is_some() {
                    EventState::Changed
                } else {
                    EventState::Unchecked
                },
                differences: difference.into_iter().collect(),
            }
        })
        .collect()
}
