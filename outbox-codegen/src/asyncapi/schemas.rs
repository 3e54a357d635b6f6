//! Payload schemas as AsyncAPI knows them: draft 7, with all definitions among the components.

use outbox_runtime::catalog::EventDescription;
use serde_json::{Map, Value, json};

/// Adds the event's schema and its definitions, and returns the reference to it.
pub(super) fn add(
    name: &str,
    event: &EventDescription,
    components: &mut Map<String, Value>,
) -> Option<Value> {
    let mut schema = event.schema.clone()?;
    let mut definitions = Map::new();
    if let Value::Object(root) = &mut schema {
        if let Some(Value::Object(found)) = root.remove("$defs") {
            definitions = found;
        }
        // The last is what serde reads, for `outbox schema check`: with references into a document of its own.
        for of_the_file in ["$schema", "$id", "x-serde-read"] {
            root.remove(of_the_file);
        }
    }
    for (definition, schema) in definitions {
        components.insert(component(name, &definition), in_draft_7(schema, name));
    }
    components.insert(name.to_owned(), in_draft_7(schema, name));
    Some(json!({"$ref": format!("#/components/schemas/{name}")}))
}

/// Names of Rust types have characters that a component's name cannot have; the rest of the name keeps them apart.
fn component(name: &str, definition: &str) -> String {
    let escaped: String = definition
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || c == '_' => c.to_string(),
            c => format!("-{:x}", u32::from(c)),
        })
        .collect();
    format!("{name}.{escaped}")
}

/// A schema of the 2020-12 dialect in draft 7, with references to the event's components.
fn in_draft_7(schema: Value, name: &str) -> Value {
    let Value::Object(keywords) = schema else {
        return schema;
    };
    let mut converted = Map::new();
    let mut all_of = Vec::new();
    let is_tuple = keywords.contains_key("prefixItems");
    let alone = keywords.len() == 1;
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            // Draft 7 ignores what stands beside a reference.
            ("$ref", Value::String(place)) if !alone => all_of.push(json!({"$ref": moved(&place, name)})),
            ("$ref", Value::String(place)) => drop(converted.insert(keyword, moved(&place, name).into())),
            ("allOf", Value::Array(schemas)) => {
                all_of.extend(schemas.into_iter().map(|schema| in_draft_7(schema, name)))
            }
            ("anyOf" | "oneOf", value) => drop(converted.insert(keyword, each(value, name))),
            ("prefixItems", value) => drop(converted.insert("items".to_owned(), each(value, name))),
            ("items", value) if is_tuple => {
                converted.insert("additionalItems".to_owned(), in_draft_7(value, name));
            }
            ("properties" | "patternProperties", Value::Object(schemas)) => {
                let schemas = schemas
                    .into_iter()
                    .map(|(key, schema)| (key, in_draft_7(schema, name)));
                converted.insert(keyword, Value::Object(schemas.collect()));
            }
            (
                "items"
                | "additionalProperties"
                | "not"
                | "contains"
                | "propertyNames"
                | "if"
                | "then"
                | "else",
                value,
            ) => {
                converted.insert(keyword, in_draft_7(value, name));
            }
            // Draft 7 has no word for it; without it the schema takes more, and no example becomes wrong.
            ("unevaluatedProperties", _) => {}
            // For generators of code.
            ("x-outbox-order", _) => {}
            (_, value) => drop(converted.insert(keyword, value)),
        }
    }
    if !all_of.is_empty() {
        converted.insert("allOf".to_owned(), Value::Array(all_of));
    }
    Value::Object(converted)
}

fn each(schemas: Value, name: &str) -> Value {
    match schemas {
        Value::Array(schemas) => schemas
            .into_iter()
            .map(|schema| in_draft_7(schema, name))
            .collect(),
        other => other,
    }
}

/// Where `#/$defs/Line` of the event's own schema went.
fn moved(place: &str, name: &str) -> String {
    let Some(rest) = place.strip_prefix("#/$defs/") else {
        let inside = place.strip_prefix('#').unwrap_or_default();
        return format!("#/components/schemas/{name}{inside}");
    };
    let (definition, inside) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(definition, inside)| {
            (definition, format!("/{inside}"))
        });
    format!(
        "#/components/schemas/{}{inside}",
        component(name, &decoded(definition))
    )
}

/// The name that a reference's part stands for.
fn decoded(part: &str) -> String {
    let text = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
    text.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_tuples_are_what_draft_7_knows() {
        let schema = json!({
            "properties": {
                "a": {"$ref": "#/$defs/Of%3CT%3E", "description": "an a"},
                "b": {"$ref": "#"},
                "c": {"prefixItems": [{"$ref": "#/$defs/Line/properties/x"}], "items": {"type": "string"}},
            },
        });
        let expected = json!({
            "properties": {
                "a": {"allOf": [{"$ref": "#/components/schemas/E.v1.Of-3cT-3e"}], "description": "an a"},
                "b": {"$ref": "#/components/schemas/E.v1"},
                "c": {"items": [{"$ref": "#/components/schemas/E.v1.Line/properties/x"}], "additionalItems": {"type": "string"}},
            },
        });
        assert_eq!(in_draft_7(schema, "E.v1"), expected);
        assert_eq!(component("E.v1", "Of<T>"), "E.v1.Of-3cT-3e");
    }
}
