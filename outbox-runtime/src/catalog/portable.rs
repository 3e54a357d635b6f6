//! Schemas as every validator takes them: strict ones refuse a keyword or a format that they do not know.
//!
//! What the 2020-12 dialect has no word for stands in `$comment`, as JSON behind a mark, and is put back when the file is
//! read. Formats are such words: which of them a validator knows is its own choice.

use serde_json::{Map, Value};

/// What comes before the notes in a `$comment`.
const MARK: &str = "outbox: ";

/// The dialect's keywords, without `format`.
const KEYWORDS: [&str; 57] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// Keywords that hold one schema, a list of them, or one for each name.
const ONE: [&str; 12] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
];
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Notes what the dialect has no word for in the comments.
pub(super) fn portable(schema: &Value) -> Value {
    let mut schema = schema.clone();
    walk(&mut schema, &note);
    schema
}

/// Puts what was noted back to where it was.
pub(super) fn restored(schema: &Value) -> Value {
    let mut schema = schema.clone();
    walk(&mut schema, &restore);
    schema
}

/// Writes the bounds of Rust's integers as numbers, because not every reader knows the names of their formats.
pub(super) fn bound(schema: &mut Value) {
    walk(schema, &add_bounds);
}

/// Each schema in a schema, from the outside in.
fn walk(schema: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    let Value::Object(keywords) = schema else {
        return;
    };
    change(keywords);
    for (keyword, value) in keywords {
        let keyword = keyword.as_str();
        match value {
            Value::Array(values) if LIST.contains(&keyword) => {
                values.iter_mut().for_each(|value| walk(value, change));
            }
            Value::Object(named) if NAMED.contains(&keyword) => {
                named.values_mut().for_each(|value| walk(value, change));
            }
            value if ONE.contains(&keyword) => walk(value, change),
            _ => {}
        }
    }
}

fn note(keywords: &mut Map<String, Value>) {
    let known = |keyword: &str| {
        KEYWORDS.contains(&keyword)
            && (keyword != "$comment" || keywords.get(keyword).is_none_or(Value::is_string))
    };
    let unknown: Vec<String> = keywords
        .keys()
        .filter(|keyword| !known(keyword))
        .cloned()
        .collect();
    if unknown.is_empty() {
        return;
    }
    let mut notes = Map::new();
    for keyword in unknown {
        if let Some(value) = keywords.remove(&keyword) {
            notes.insert(keyword, value);
        }
    }
    let said = keywords
        .get("$comment")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let space = if said.is_empty() { "" } else { " " };
    let comment = format!("{said}{space}{MARK}{}", Value::Object(notes));
    keywords.insert("$comment".to_owned(), comment.into());
}

fn restore(keywords: &mut Map<String, Value>) {
    let Some((said, notes)) = keywords.get("$comment").and_then(Value::as_str).and_then(noted) else {
        return;
    };
    if said.is_empty() {
        keywords.remove("$comment");
    } else {
        keywords.insert("$comment".to_owned(), said.into());
    }
    keywords.extend(notes);
}

/// A comment, split into its words and the notes behind them. A note may hold the mark as well, so each is tried.
fn noted(comment: &str) -> Option<(String, Map<String, Value>)> {
    comment.match_indices(MARK).find_map(|(at, _)| {
        let notes = serde_json::from_str(&comment[at + MARK.len()..]).ok()?;
        Some((comment[..at].trim_end().to_owned(), notes))
    })
}

fn add_bounds(keywords: &mut Map<String, Value>) {
    let is_integer = match keywords.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    };
    let format = keywords.get("format").and_then(Value::as_str);
    let bounds: Option<(Value, Value)> = match format {
        Some("int8") => Some((i8::MIN.into(), i8::MAX.into())),
        Some("int16") => Some((i16::MIN.into(), i16::MAX.into())),
        Some("int32") => Some((i32::MIN.into(), i32::MAX.into())),
        Some("int64" | "int") => Some((i64::MIN.into(), i64::MAX.into())),
        Some("uint8") => Some((0.into(), u8::MAX.into())),
        Some("uint16") => Some((0.into(), u16::MAX.into())),
        Some("uint32") => Some((0.into(), u32::MAX.into())),
        Some("uint64" | "uint") => Some((0.into(), u64::MAX.into())),
        _ => None,
    };
    if let Some((least, most)) = bounds.filter(|_| is_integer) {
        keywords.entry("minimum").or_insert(least);
        keywords.entry("maximum").or_insert(most);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_dialect_does_not_know_is_noted_and_comes_back() {
        let schema = json!({
            "$comment": "Mine, with outbox: {in it}.",
            "x-outbox": {"topic": "outbox: {\"a\": 1}"},
            "type": "object",
            "properties": {
                "x-outbox": {"type": "string", "format": "uuid", "x-serde-alias": ["a"]},
                "format": {"enum": [{"format": "uint8"}], "nullable": true},
            },
            "$defs": {"A": {"oneOf": [{"format": "int8"}], "prefixItems": [{"x-b": null}]}},
            "default": {"format": "no schema"},
        });
        let made = portable(&schema);
        assert_eq!(restored(&made), schema);
        assert_eq!(portable(&restored(&made)), made);
        assert_eq!(made["default"], schema["default"]);
        assert_eq!(
            made["properties"]["format"]["enum"],
            schema["properties"]["format"]["enum"]
        );
        assert_eq!(
            made["properties"]["x-outbox"]["$comment"],
            r#"outbox: {"format":"uuid","x-serde-alias":["a"]}"#
        );
        let mut seen = std::cell::RefCell::new(Vec::new());
        walk(&mut made.clone(), &|keywords| {
            seen.borrow_mut().extend(keywords.keys().cloned())
        });
        assert!(
            !seen
                .get_mut()
                .iter()
                .any(|keyword| keyword == "format" || keyword.starts_with("x-") || keyword == "nullable")
        );
    }

    #[test]
    fn integers_have_their_bounds_in_numbers() {
        let mut schema = json!({"items": {"type": ["integer", "null"], "format": "int32", "minimum": 5}});
        bound(&mut schema);
        assert_eq!(schema["items"]["minimum"], 5);
        assert_eq!(schema["items"]["maximum"], 2_147_483_647);
        let mut other = json!({"type": "string", "format": "int32"});
        bound(&mut other);
        assert_eq!(other, json!({"type": "string", "format": "int32"}));
    }
}
