//! JSON as a person reads it: what says what it is comes first, and the order is the same in every build.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// Keys that stand before all others, in this order; the others follow by their names, and definitions at the end.
const FIRST: [&str; 7] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "x-outbox",
    "type",
];
const LAST: &str = "$defs";

/// The value's text, with a line's end.
pub(super) fn json_text(value: &Value) -> String {
    // A value that is in memory can be written.
    let text = serde_json::to_string_pretty(&Ordered(value)).unwrap_or_default();
    text + "\n"
}

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(values) => serializer.collect_seq(values.iter().map(Ordered)),
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| {
                    let first = FIRST.iter().position(|first| first == key);
                    (*key == LAST, first.unwrap_or(FIRST.len()), *key)
                });
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Ordered(value))?;
                }
                map.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}
