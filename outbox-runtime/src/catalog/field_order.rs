//! The order in which a type declares its fields, beside a map of them that is sorted by their names.

#[cfg(feature = "schema")]
use serde_json::Map;
use serde_json::Value;

/// The names of an object's fields in the order of their declaration, where that is not the order of the names.
pub(super) const ORDER: &str = "x-outbox-order";

/// Notes the order. `required` is a list and has it: what is always written, and what readers need. A field that is in
/// neither list comes last.
#[cfg(feature = "schema")]
pub(super) fn note(schema: &mut Value, written: &Value, read: &Value) {
    match (schema, written) {
        (Value::Object(schema), Value::Object(written)) => {
            if let Some(order) = order(written, read) {
                schema.insert(ORDER.to_owned(), order.into());
            }
            for (name, value) in schema.iter_mut() {
                if let Some(written) = written.get(name) {
                    note(value, written, read.get(name).unwrap_or(&Value::Null));
                }
            }
        }
        (Value::Array(schemas), Value::Array(written)) => {
            for (index, (schema, written)) in schemas.iter_mut().zip(written).enumerate() {
                note(schema, written, read.get(index).unwrap_or(&Value::Null));
            }
        }
        _ => {}
    }
}

#[cfg(feature = "schema")]
fn order(written: &Map<String, Value>, read: &Value) -> Option<Vec<String>> {
    let properties = written.get("properties")?.as_object()?;
    if !properties
        .values()
        .all(|field| field.is_object() || field.is_boolean())
    {
        return None;
    }
    let listed = |required: Option<&Value>| -> Vec<String> {
        let names = required.and_then(Value::as_array).into_iter().flatten();
        names
            .filter_map(Value::as_str)
            .filter(|name| properties.contains_key(*name))
            .map(str::to_owned)
            .collect()
    };
    let mut order = listed(written.get("required"));
    let mut place = 0;
    for name in listed(read.get("required")) {
        match order.iter().position(|other| *other == name) {
            Some(at) => place = at + 1,
            None => {
                order.insert(place, name);
                place += 1;
            }
        }
    }
    let missing: Vec<String> = properties
        .keys()
        .filter(|name| !order.contains(name))
        .cloned()
        .collect();
    // A map that keeps its order knows better.
    if !properties.keys().is_sorted() {
        return Some(properties.keys().cloned().collect());
    }
    order.extend(missing);
    (!order.is_sorted()).then_some(order)
}

/// The schema without the order, which no reader goes by.
pub(super) fn without(mut schema: Value) -> Value {
    remove(&mut schema);
    schema
}

fn remove(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            if entries.contains_key("properties") {
                entries.remove(ORDER);
            }
            entries.values_mut().for_each(remove);
        }
        Value::Array(values) => values.iter_mut().for_each(remove),
        _ => {}
    }
}

#[cfg(all(test, feature = "schema"))]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_keep_their_places() {
        let fields = json!({"z": {}, "b": {}, "d": {}, "a": true});
        let written = json!({"$defs": {"A": {"properties": fields, "required": ["z", "b", "a"]}}});
        let read = json!({"$defs": {"A": {"properties": fields, "required": ["z", "d", "a"]}}});
        let mut schema = json!({"$defs": {"A": {"properties": fields}}});
        note(&mut schema, &written, &read);
        assert_eq!(schema["$defs"]["A"][ORDER], json!(["z", "d", "b", "a"]));
        assert_eq!(without(schema), json!({"$defs": {"A": {"properties": fields}}}));
        let sorted = json!({"properties": {"a": {}, "b": {}}, "required": ["a"]});
        let mut same = sorted.clone();
        note(&mut same, &sorted, &Value::Null);
        assert_eq!(same, sorted);
    }
}
