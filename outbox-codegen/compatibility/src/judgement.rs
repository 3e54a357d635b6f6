//! One payload against its earlier self, in both directions.

use serde_json::Value;

use super::parse::Document;
use super::reading::{Finding, findings};
use super::report::Direction;

/// What is written and what is read.
struct Payload {
    written: Document,
    read: Document,
}

impl Payload {
    fn of(schema: &Value) -> Self {
        Self {
            written: Document::written(schema),
            read: Document::read(schema),
        }
    }
}

/// What keeps new readers from old data, and old readers from new data.
///
/// What neither of the two versions reads of its own data is not the change's fault, and left out: such events are read
/// by types that are declared elsewhere.
pub(super) fn judge(old: &Value, new: &Value) -> [Vec<Finding>; 2] {
    if old == new {
        return [Vec::new(), Vec::new()];
    }
    let (old, new) = (Payload::of(old), Payload::of(new));
    [
        (Direction::Backward, &new.read, &old.written),
        (Direction::Forward, &old.read, &new.written),
    ]
    .map(|(direction, reader, writer)| {
        let mut found = findings(reader, writer, direction);
        if !found.is_empty() {
            let own = [&old, &new].map(|own| findings(&own.read, &own.written, direction));
            found.retain(|finding| finding.unknown || !own.iter().all(|own| own.contains(finding)));
        }
        found
    })
}
