//! What `outbox schema check` says of drawn pairs of types has to be what serde does with their values.
//!
//! Each pair is compiled: real attributes, real schemas, real data. "Compatible" must never be wrong. "Breaks" without a
//! value that shows it is allowed for the kinds of changes that docs/schemas.md lists.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    reason = "drawn code, and a panic is a test's report"
)]

use std::collections::BTreeMap;

use outbox_pairs::*;
use outbox_runtime::OutboxEvent;
use outbox_runtime::catalog::compatibility::{Compatibility, CompatibilityReport, Direction, compare};
use outbox_runtime::catalog::{Catalog, CatalogDocument, EventDescription, SchemaFile};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One version of an event.
struct Side {
    event: EventDescription,
    written: Vec<String>,
    reads: fn(&str) -> Option<String>,
}

struct Pair {
    number: usize,
    change: &'static str,
    old: Side,
    new: Side,
}

fn side<E: Serialize + DeserializeOwned>(event_type: &str, values: &[E]) -> Side {
    let mut described = Catalog::global().by_type(event_type);
    let mut event = described.next().unwrap().describe();
    event.event_type = "Pair".to_owned();
    Side {
        event,
        // `skip_serializing` on a variant: such a value is never written.
        written: values.iter().filter_map(|value| serde_json::to_string(value).ok()).collect(),
        reads: |text| serde_json::from_str::<E>(text).err().map(|error| error.to_string()),
    }
}

macro_rules! pair {
    ($number:literal, $change:literal, $module:ident) => {
        Pair {
            number: $number,
            change: $change,
            old: side(concat!("Pair", $number, "old"), &$module::old::values()),
            new: side(concat!("Pair", $number, "new"), &$module::new::values()),
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/pairs.rs"));

fn report(old: &EventDescription, new: &EventDescription) -> CompatibilityReport {
    let catalog = CatalogDocument {
        schema_version: 1,
        package: "pairs".to_owned(),
        events: vec![new.clone()],
    };
    let old = SchemaFile::parse(&SchemaFile::of(old, "pairs").unwrap().text()).unwrap();
    compare(&[old], &catalog, Compatibility::Full).unwrap()
}

impl Side {
    /// The values of `other` that this one does not read. Those that no version reads of its own data are left out: such
    /// an event is read elsewhere, and the change is not to blame.
    fn unread<'a>(&self, other: &'a Self) -> Vec<(&'a String, String)> {
        let own = [self, other].map(|side| side.written.iter().any(|text| (side.reads)(text).is_some()));
        let excused = |text: &str| own == [true, true] && (other.reads)(text).is_some();
        let refused = other.written.iter().filter_map(|text| Some((text, (self.reads)(text)?)));
        refused.filter(|(text, _)| !excused(text)).collect()
    }
}

#[derive(Default)]
struct Verdicts {
    right: [usize; 2],
    wrongly_compatible: Vec<String>,
    wrongly_breaking: Vec<(&'static str, String)>,
}

fn verdicts(change: impl Fn(&mut EventDescription)) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for pair in &mut drawn() {
        for side in [&mut pair.old, &mut pair.new] {
            change(&mut side.event);
        }
        let said = report(&pair.old.event, &pair.new.event);
        for (direction, reader, writer) in [
            (Direction::Backward, &pair.new, &pair.old),
            (Direction::Forward, &pair.old, &pair.new),
        ] {
            let mut breaks = said.events.iter().flat_map(|event| &event.differences).flat_map(|it| &it.breaks);
            let breaks = breaks.any(|it| it.direction == direction);
            let unread = reader.unread(writer);
            let told = || {
                let schema = |side: &Side| serde_json::to_string_pretty(&side.event.schema).unwrap();
                format!(
                    "pair {}, {direction:?}: {}\n{unread:?}\n{said}\nold: {}\nnew: {}\n",
                    pair.number, pair.change, schema(&pair.old), schema(&pair.new),
                )
            };
            match (breaks, unread.is_empty()) {
                (false, false) => verdicts.wrongly_compatible.push(told()),
                (true, true) => verdicts.wrongly_breaking.push((pair.change, told())),
                (breaks, _) => verdicts.right[usize::from(breaks)] += 1,
            }
        }
    }
    verdicts
}

#[test]
fn what_is_said_is_what_serde_does() {
    let verdicts = verdicts(|_| ());
    let wrong = &verdicts.wrongly_compatible;
    let needless = &verdicts.wrongly_breaking;
    eprintln!("right: {:?}, wrongly compatible: {}, wrongly breaking: {}", verdicts.right, wrong.len(), needless.len());
    for (_, told) in needless {
        eprintln!("NEEDLESS {told}");
    }
    assert!(wrong.is_empty(), "said to be read, and is not:\n{}", wrong.join("\n"));
}
