//! A schema's text with the fields in the order in which their type declares them.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// Where a schema says the order.
pub(super) const ORDER: &str = "x-outbox-order";

/// The text, without the words that say the order.
pub(super) fn text(schema: &Value) -> String {
    // A value that is in memory can be written.
    serde_json::to_string(&Declared(schema)).unwrap_or_default()
}

struct Declared<'a>(&'a Value);

impl Serialize for Declared<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(values) => serializer.collect_seq(values.iter().map(Declared)),
            Value::Object(keywords) => {
                let order = keywords.get(ORDER).and_then(Value::as_array);
                let mut map = serializer.serialize_map(None)?;
                for (keyword, value) in keywords.iter().filter(|(keyword, _)| *keyword != ORDER) {
                    match (keyword.as_str(), value, order) {
                        ("properties", Value::Object(fields), Some(order)) => {
                            map.serialize_entry(keyword, &Fields { fields, order })?;
                        }
                        _ => map.serialize_entry(keyword, &Declared(value))?,
                    }
                }
                map.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}

struct Fields<'a> {
    fields: &'a Map<String, Value>,
    order: &'a [Value],
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = |name: &str| self.order.iter().position(|other| other == name);
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_key(|(name, _)| place(name).unwrap_or(self.order.len()));
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (name, field) in fields {
            map.serialize_entry(name, &Declared(field))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_stand_where_they_are_declared() {
        let schema =
            json!({"items": [{"properties": {"a": {}, "z": {}, "b": {}}, "x-outbox-order": ["z", "a"]}]});
        assert_eq!(
            text(&schema),
            r#"{"items":[{"properties":{"z":{},"a":{},"b":{}}}]}"#
        );
    }
}
