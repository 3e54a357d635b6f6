//! What serde writes and what it reads, in one schema.
//!
//! The schema is of what is written. What a reader sees differently stands beside it, under [`keywords`](super::keywords)
//! of our own.

use serde_json::{Map, Value};

use super::keywords::{ALIASES, ALWAYS, NEEDED, NEVER_NULL, NOT_READ, READ, READ_WITH, TAG, WRITTEN_WITH};

/// Keywords whose values are schemas by name.
const BY_NAME: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords whose values are values.
const VALUES: [&str; 4] = ["const", "enum", "examples", "default"];
/// Says nothing about what is read.
const SAYS_NOTHING: [&str; 4] = ["title", "description", "default", NOT_READ];

/// One schema of both.
///
/// A field is required only where a reader needs it too: serde takes an `Option` or a `default` that is not there, and
/// consumers have to know that such a field may go one day.
pub(super) fn joined(mut written: Value, mut read: Value) -> Value {
    require_less(&mut written, &read);
    if what_is_read(&written) != what_is_read(&read)
        && let Value::Object(root) = &mut written
    {
        if let Value::Object(read) = &mut read {
            read.remove("$schema");
        }
        root.insert(READ.to_owned(), read);
    }
    written
}

/// Adds what the derive knows of serde's attributes: `notes` is the schema of a struct with the same names.
pub(super) fn annotate(schema: &mut Value, notes: &Value) {
    let Value::Object(root) = schema else { return };
    if let Some(read) = root.get_mut(READ) {
        let notes = notes.get(READ).unwrap_or(notes);
        annotate_fields(read, notes);
        add_keywords(read, notes);
    }
    annotate_fields(schema, notes);
    add_keywords(schema, notes);
    for (name, text) in notes.get(TAG).and_then(Value::as_object).into_iter().flatten() {
        add_tag(schema, name, text);
    }
}

fn annotate_fields(schema: &mut Value, notes: &Value) {
    let noted = notes.get("properties").and_then(Value::as_object);
    for (name, noted) in noted.into_iter().flatten() {
        let field = schema
            .get_mut("properties")
            .and_then(|fields| fields.get_mut(name));
        if let Some(field) = field {
            add_keywords(field, noted);
        }
    }
}

/// What the schema says itself stays.
fn add_keywords(schema: &mut Value, notes: &Value) {
    for keyword in [ALIASES, WRITTEN_WITH, READ_WITH, NEVER_NULL] {
        let Some(note) = notes.get(keyword) else { continue };
        if *schema == Value::Bool(true) {
            *schema = Value::Object(Map::new());
        }
        if let Value::Object(schema) = schema {
            schema.entry(keyword).or_insert_with(|| note.clone());
        }
    }
}

/// A struct's tag is written, and read like any unknown field.
fn add_tag(schema: &mut Value, name: &str, text: &Value) {
    let Value::Object(root) = schema else { return };
    let tag = serde_json::json!({"type": "string", "const": text, NOT_READ: true});
    let properties = root.entry("properties").or_insert_with(|| Map::new().into());
    if let Value::Object(properties) = properties {
        properties.insert(name.to_owned(), tag);
    }
    if let Value::Array(always) = root.entry(ALWAYS).or_insert_with(|| Value::Array(Vec::new())) {
        always.push(name.into());
    }
}

fn require_less(written: &mut Value, read: &Value) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            let (needed, always) = one_sided(written, read);
            for (keyword, names) in [(NEEDED, needed), (ALWAYS, always)] {
                if !names.is_empty() {
                    written.insert(keyword.to_owned(), names.into());
                }
            }
            if let Some(Value::Array(required)) = written.get_mut("required") {
                let needed = read.get("required").and_then(Value::as_array);
                required.retain(|name| needed.is_some_and(|needed| needed.contains(name)));
                if required.is_empty() {
                    written.remove("required");
                }
            }
            for (name, value) in written {
                if let Some(read) = read.get(name) {
                    require_less(value, read);
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            written
                .iter_mut()
                .zip(read)
                .for_each(|(written, read)| require_less(written, read));
        }
        _ => {}
    }
}

/// The fields that readers need and writers may leave out, and those that writers always write and readers do without.
fn one_sided(written: &Map<String, Value>, read: &Map<String, Value>) -> (Vec<Value>, Vec<Value>) {
    let fields = written.get("properties").and_then(Value::as_object);
    let is_field = |name: &Value| {
        fields
            .zip(name.as_str())
            .is_some_and(|(fields, name)| fields.contains_key(name))
    };
    let required = |schema: &Map<String, Value>| match schema.get("required") {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    let (always, needed) = (required(written), required(read));
    let without = |names: &[Value], others: &[Value]| -> Vec<Value> {
        let names = names
            .iter()
            .filter(|name| is_field(name) && !others.contains(name));
        names.cloned().collect()
    };
    (without(&needed, &always), without(&always, &needed))
}

/// A schema without what says nothing to a reader, and with the fields that a reader needs as `required`.
fn what_is_read(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else {
        return match schema {
            Value::Array(schemas) => schemas.iter().map(what_is_read).collect(),
            other => other.clone(),
        };
    };
    let mut plain = Map::new();
    let mut required: Vec<String> = Vec::new();
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("required" | NEEDED, Value::Array(names)) => {
                required.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            (keyword, _) if SAYS_NOTHING.contains(&keyword) || keyword == ALWAYS => {}
            (keyword, Value::Object(schemas)) if BY_NAME.contains(&keyword) => {
                let schemas: Map<String, Value> = schemas
                    .iter()
                    .filter(|(_, schema)| schema.get(NOT_READ) != Some(&Value::Bool(true)))
                    .map(|(name, schema)| (name.clone(), what_is_read(schema)))
                    .collect();
                if !schemas.is_empty() {
                    plain.insert(keyword.to_owned(), schemas.into());
                }
            }
            (keyword, value) if VALUES.contains(&keyword) => {
                drop(plain.insert(keyword.to_owned(), value.clone()))
            }
            (keyword, value) => drop(plain.insert(keyword.to_owned(), what_is_read(value))),
        }
    }
    required.sort();
    if !required.is_empty() {
        plain.insert("required".to_owned(), required.into());
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_required_where_both_sides_say_so() {
        let schema = |required: &[&str]| {
            let fields = json!({"a": {}, "b": {}, "required": {"type": "array"}});
            let inner = json!({"required": required, "properties": fields});
            json!({"$defs": {"Inner": inner}, "oneOf": [inner]})
        };
        let joined = joined(schema(&["a", "b"]), schema(&["b", "required"]));
        for inner in ["/$defs/Inner", "/oneOf/0"] {
            let inner = joined.pointer(inner).unwrap();
            assert_eq!(inner["required"], json!(["b"]));
            assert_eq!(inner[ALWAYS], json!(["a"]));
            assert_eq!(inner[NEEDED], json!(["required"]));
        }
        assert_eq!(joined.get(READ), None, "the keywords describe what is read");
    }

    #[test]
    fn what_is_read_is_kept_where_no_keyword_describes_it() {
        let written =
            json!({"properties": {"a": {"type": "string"}, "b": {"readOnly": true}}, "required": ["a", "b"]});
        let read = |of: &str| json!({"properties": {"a": {"type": of, "title": "A"}}, "required": ["a"]});
        assert_eq!(joined(written.clone(), read("string")).get(READ), None);
        assert_eq!(joined(written, read("number"))[READ], read("number"));
    }

    #[test]
    fn notes_are_of_both() {
        let mut schema = joined(
            json!({"properties": {"a": true}, "required": ["a"]}),
            json!({"properties": {"z": {"type": "null"}}, "required": ["z"]}),
        );
        let field = json!({ALIASES: ["b"]});
        let notes =
            json!({"properties": {"a": field}, READ: {"properties": {"z": field}}, TAG: {"type": "E"}});
        annotate(&mut schema, &notes);
        assert_eq!(schema["properties"]["a"], field);
        assert_eq!(schema[READ]["properties"]["z"][ALIASES], json!(["b"]));
        assert_eq!(schema["properties"]["type"]["const"], "E");
        assert_eq!(schema[ALWAYS], json!(["a", "type"]));
    }
}
