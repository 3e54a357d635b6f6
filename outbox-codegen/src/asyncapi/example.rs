//! An example of a payload: the one that the type gives, or else the plainest value that its schema takes.

use serde_json::{Map, Value};

use super::pattern;
use crate::failure::Failure;

/// As deep as an example goes into what need not be there.
const DEEP: usize = 5;
/// As deep as it goes at all: what has no end has no example.
const DEEPEST: usize = 24;

/// Examples that are of the schema. None where no plain value is.
pub(super) fn of(name: &str, schema: &Value) -> Result<Vec<Value>, Failure> {
    let validator = jsonschema::draft202012::new(schema)
        .map_err(|error| Failure::failed(format!("the schema of {name} is not a JSON Schema: {error}")))?;
    if let Some(Value::Array(given)) = schema.get("examples") {
        if let Some(error) = given.iter().find_map(|example| validator.validate(example).err()) {
            return Err(
                Failure::failed(format!("an example of {name} does not match its schema: {error}"))
                    .advise("correct `#[schemars(example = …)]`"),
            );
        }
        return Ok(given.clone());
    }
    let made = Maker { root: schema }.value(schema, 0);
    Ok(made
        .into_iter()
        .filter(|value| validator.is_valid(value))
        .collect())
}

struct Maker<'a> {
    root: &'a Value,
}

impl<'a> Maker<'a> {
    fn value(&self, schema: &'a Value, deep: usize) -> Option<Value> {
        if deep > DEEPEST {
            return None;
        }
        let Value::Object(keywords) = schema else {
            return schema
                .as_bool()
                .filter(|any| *any)
                .map(|_| Value::Object(Map::new()));
        };
        let given = |keyword: &str| keywords.get(keyword)?.as_array()?.first().cloned();
        let known = keywords
            .get("const")
            .cloned()
            .or_else(|| given("examples"))
            .or_else(|| given("enum"));
        if known.is_some() {
            return known;
        }
        let mut parts = Vec::new();
        if let Some(place) = keywords.get("$ref").and_then(Value::as_str) {
            parts.push(self.value(self.target(place)?, deep + 1)?);
        }
        for schema in keywords
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            parts.push(self.value(schema, deep + 1)?);
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(Value::Array(choices)) = keywords.get(choice) {
                parts.push(self.first_of(choices, deep)?);
            }
        }
        if keywords.contains_key("type") || keywords.contains_key("properties") {
            parts.push(self.plain(keywords, deep)?);
        }
        parts
            .into_iter()
            .reduce(together)
            .or_else(|| Some(Value::Object(Map::new())))
    }

    fn target(&self, place: &str) -> Option<&'a Value> {
        let pointer = percent_encoding::percent_decode_str(place.strip_prefix('#')?)
            .decode_utf8()
            .ok()?;
        self.root.pointer(&pointer)
    }

    /// The first alternative that says something; deep inside the one that says least.
    fn first_of(&self, choices: &'a [Value], deep: usize) -> Option<Value> {
        let null = choices
            .iter()
            .find(|choice| choice.get("type").is_some_and(|of| of == "null"));
        let shallow = choices
            .iter()
            .filter(|choice| deep < DEEP || null.is_none_or(|null| *choice != null));
        if let Some(null) = null.filter(|_| deep >= DEEP) {
            return self.value(null, deep + 1);
        }
        let mut values = shallow.filter_map(|choice| self.value(choice, deep + 1));
        values
            .find(|value| !value.is_null())
            .or_else(|| null.map(|_| Value::Null))
    }

    fn plain(&self, keywords: &'a Map<String, Value>, deep: usize) -> Option<Value> {
        let number = |keyword: &str| keywords.get(keyword).and_then(Value::as_i64);
        let names = match keywords.get("type") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(name) => vec![name.as_str()?],
            None => vec!["object"],
        };
        if names.contains(&"null") && (deep >= DEEP || names.len() == 1) {
            return Some(Value::Null);
        }
        Some(match *names.iter().find(|name| **name != "null")? {
            "boolean" => true.into(),
            "integer" => {
                let least = number("minimum").unwrap_or(1).max(1);
                number("maximum").map_or(least, |most| least.min(most)).into()
            }
            "number" => keywords.get("minimum").cloned().unwrap_or_else(|| 1.5.into()),
            "string" => text(keywords)?.into(),
            "array" => Value::Array(self.elements(keywords, deep)?),
            "object" => Value::Object(self.fields(keywords, deep)?),
            _ => return None,
        })
    }

    fn elements(&self, keywords: &'a Map<String, Value>, deep: usize) -> Option<Vec<Value>> {
        let count = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
        let first = keywords
            .get("prefixItems")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut elements: Vec<Value> = first
            .map(|schema| self.value(schema, deep + 1))
            .collect::<Option<_>>()?;
        let wanted = count("minItems").unwrap_or(0).max(u64::from(deep < DEEP));
        let wanted = count("maxItems").map_or(wanted, |most| wanted.min(most)).min(64);
        while (elements.len() as u64) < wanted {
            match keywords
                .get("items")
                .and_then(|items| self.value(items, deep + 1))
            {
                Some(element) => elements.push(element),
                None => break,
            }
        }
        Some(elements)
    }

    fn fields(&self, keywords: &'a Map<String, Value>, deep: usize) -> Option<Map<String, Value>> {
        let required: Vec<&str> = keywords
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut fields = Map::new();
        for (name, schema) in keywords
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let needed = required.contains(&name.as_str());
            if !needed && deep >= DEEP {
                continue;
            }
            match self.value(schema, deep + 1) {
                Some(value) => drop(fields.insert(name.clone(), value)),
                None if needed => return None,
                None => {}
            }
        }
        let is_map = fields.is_empty() && deep < DEEP;
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        if let Some((pattern, schema)) = patterns
            .and_then(|patterns| patterns.iter().next())
            .filter(|_| is_map)
            && let (Some(name), Some(value)) = (pattern::example(pattern, 0), self.value(schema, deep + 1))
        {
            fields.insert(name, value);
            return Some(fields);
        }
        if let Some(schema @ Value::Object(_)) = keywords.get("additionalProperties").filter(|_| is_map)
            && let Some(value) = self.value(schema, deep + 1)
        {
            fields.insert("name".to_owned(), value);
        }
        Some(fields)
    }
}

/// Parts of one object; of other values the last one says most.
fn together(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            one.extend(other);
            Value::Object(one)
        }
        (_, other) => other,
    }
}

fn text(keywords: &Map<String, Value>) -> Option<String> {
    let length = |keyword: &str| {
        keywords
            .get(keyword)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) {
        return pattern::example(pattern, length("minLength").unwrap_or(0));
    }
    let plain = match keywords.get("format").and_then(Value::as_str) {
        Some("uuid") => "6c1b0c7e-52a4-4f0e-9d0b-0f6f3f1d2a58",
        Some("date-time") => "2026-01-31T12:00:00Z",
        Some("partial-date-time") => "2026-01-31T12:00:00",
        Some("date") => "2026-01-31",
        Some("time" | "partial-time") => "12:00:00",
        Some("uri" | "url" | "iri") => "https://example.com/",
        Some("email") => "somebody@example.com",
        Some("ip" | "ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        _ => "text",
    };
    let longest: String = plain
        .chars()
        .take(length("maxLength").unwrap_or(usize::MAX))
        .collect();
    let missing = length("minLength")
        .unwrap_or(0)
        .saturating_sub(longest.chars().count());
    Some(longest + &"x".repeat(missing.min(1_000)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn example(schema: Value) -> Value {
        let mut made = of("E", &schema).unwrap();
        assert_eq!(made.len(), 1, "{schema}");
        made.remove(0)
    }

    #[test]
    fn an_example_is_of_its_schema() {
        let tree = json!({
            "type": "object",
            "properties": {
                "kids": {"type": "array", "items": {"$ref": "#"}},
                "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
                "code": {"type": "string", "minLength": 6},
                "price": {"type": "string", "pattern": r"^-?\d+(\.\d+)?([eE]\d+)?$"},
                "year": {"type": "string", "pattern": "^(19|20)[0-9]{2}$"},
                "stock": {
                    "type": "object", "patternProperties": {r"^\d+$": {"type": "boolean"}}, "additionalProperties": false,
                },
                "initial": {"type": "string", "minLength": 1, "maxLength": 1},
                "small": {"type": "integer", "format": "int8", "minimum": -128, "maximum": 127},
                "below": {"type": "integer", "maximum": -3},
                "pair": {"type": "array", "prefixItems": [{"type": "boolean"}, {"const": 7}], "minItems": 2, "maxItems": 2},
                "kind": {"oneOf": [{"type": "string", "enum": ["A", "B"]}, {"type": "object"}]},
                "tagged": {"$ref": "#/$defs/Inner", "properties": {"t": {"const": "I"}}, "required": ["t"]},
            },
            "required": ["kids", "code", "tagged"],
            "$defs": {"Inner": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
        });
        let made = example(tree);
        assert_eq!(made["code"], "textxx");
        assert_eq!(
            (&made["price"], &made["year"], &made["stock"]),
            (&json!("1"), &json!("1911"), &json!({"1": true}))
        );
        assert_eq!(made["tagged"], json!({"t": "I", "x": 1.5}));
        assert_eq!((&made["below"], &made["initial"]), (&json!(-3), &json!("t")));
    }

    #[test]
    fn what_the_type_gives_comes_first_and_has_to_fit() {
        assert_eq!(example(json!({"type": "string", "examples": ["given"]})), "given");
        let error = of("E", &json!({"type": "string", "examples": [1]})).unwrap_err();
        assert!(
            format!("{error:?}").contains("an example of E does not match its schema"),
            "{error:?}"
        );
    }

    #[test]
    fn without_a_plain_value_there_is_no_example() {
        for schema in [
            json!({"type": "string", "pattern": "^[0-9]{4}$", "maxLength": 3}),
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
            json!({"not": {}}),
        ] {
            assert_eq!(of("E", &schema).unwrap(), Vec::<Value>::new(), "{schema}");
        }
    }
}
