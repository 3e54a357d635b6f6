//! The verdicts on a pair: the schemas', and serde's.

use outbox_compatibility::{Compatibility, CompatibilityReport, Direction, compare};
use outbox_runtime::catalog::{Catalog, CatalogDocument, EventDescription, SchemaFile};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One version of an event.
pub(crate) struct Side {
    pub(crate) event: EventDescription,
    written: Vec<String>,
    reads: fn(&str) -> Option<String>,
}

pub(crate) struct Pair {
    pub(crate) change: &'static str,
    pub(crate) old: Side,
    pub(crate) new: Side,
}

pub(crate) fn side<E: Serialize + DeserializeOwned>(values: &[E]) -> Side {
    let path = std::any::type_name::<E>();
    let mut events = Catalog::global().iter();
    // A variant stands behind its enum.
    let event =
        events.find(|event| event.rust_type() == path || event.rust_type() == format!("{path}::Variant"));
    let mut event = event.unwrap_or_else(|| panic!("{path} is no event")).describe();
    event.event_type = "Pair".to_owned();
    Side {
        event,
        // `skip_serializing` on a variant: such a value is never written.
        written: values
            .iter()
            .filter_map(|value| serde_json::to_string(value).ok())
            .collect(),
        reads: |text| {
            serde_json::from_str::<E>(text)
                .err()
                .map(|error| error.to_string())
        },
    }
}

macro_rules! pair {
    ($change:expr, $module:ident) => {
        $crate::judge::Pair {
            change: $change,
            old: $crate::judge::side(&$module::old::values()),
            new: $crate::judge::side(&$module::new::values()),
        }
    };
}
pub(crate) use pair;

/// What of a writer's data a reader does not read, with its error.
pub(crate) type Unread = Vec<(String, String)>;

impl Side {
    pub(crate) fn unread(&self, other: &Self) -> Unread {
        let texts = other.written.iter();
        texts
            .filter_map(|text| Some((text.clone(), (self.reads)(text)?)))
            .collect()
    }

    fn schema(&self) -> String {
        serde_json::to_string_pretty(&self.event.schema).unwrap()
    }
}

/// What was said of a direction, and what serde does.
pub(crate) struct Judged {
    pub(crate) direction: Direction,
    /// Why it breaks; nothing if it is said to be compatible.
    pub(crate) said: Vec<String>,
    pub(crate) unread: Unread,
    /// Without the values that neither version reads of its own data: such an event is read elsewhere, and the change is
    /// not to blame.
    pub(crate) blamed: Unread,
}

impl Pair {
    pub(crate) fn judged(&self) -> [Judged; 2] {
        let report = self.report();
        let own = [&self.old, &self.new].map(|side| side.unread(side));
        [
            (Direction::Backward, &self.new, &self.old, &own[0]),
            (Direction::Forward, &self.old, &self.new, &own[1]),
        ]
        .map(|(direction, reader, writer, of_its_own)| {
            let differences = report.events.iter().flat_map(|event| &event.differences);
            let breaks = differences
                .flat_map(|it| &it.breaks)
                .filter(|it| it.direction == direction);
            let unread = reader.unread(writer);
            let elsewhere = own.iter().all(|unread| !unread.is_empty());
            let excused = |text: &String| elsewhere && of_its_own.iter().any(|(own, _)| own == text);
            Judged {
                direction,
                said: breaks.map(|it| it.reason.clone()).collect(),
                blamed: unread
                    .iter()
                    .filter(|(text, _)| !excused(text))
                    .cloned()
                    .collect(),
                unread,
            }
        })
    }

    pub(crate) fn report(&self) -> CompatibilityReport {
        let catalog = CatalogDocument {
            schema_version: 1,
            package: "pairs".to_owned(),
            events: vec![self.new.event.clone()],
        };
        let old = SchemaFile::of(&self.old.event, "pairs").unwrap();
        // As it is read from a file.
        let old = SchemaFile::parse(&old.text()).unwrap();
        compare(&[old], &catalog, Compatibility::Full).unwrap()
    }

    pub(crate) fn described(&self, judged: &Judged) -> String {
        let (old, new) = (self.old.schema(), self.new.schema());
        let Judged {
            direction,
            said,
            unread,
            ..
        } = judged;
        format!(
            "{}: {direction:?}\nsaid: {said:#?}\nserde: {unread:#?}\nold: {old}\nnew: {new}\n",
            self.change
        )
    }
}

/// Removes from the schemas what they note of serde's attributes.
pub(crate) fn strip(schema: &mut Value) {
    match schema {
        Value::Array(values) => values.iter_mut().for_each(strip),
        Value::Object(entries) => {
            entries.retain(|keyword, _| !keyword.starts_with("x-serde-"));
            entries.values_mut().for_each(strip);
        }
        _ => {}
    }
}
