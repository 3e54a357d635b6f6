//! A schema in which each object has a name that stays: a generator that has to invent one counts, and a variant that is
//! added in the middle would rename those behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::declared::ORDER;
use super::names::identifier;

/// What generators know of `format`; Rust's own are none of them.
const FORMATS: [&str; 11] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "time",
    "uri",
    "uuid",
    "uri-reference",
];

/// Words that say nothing of the type, or would name it otherwise.
const DROPPED: [&str; 5] = ["$schema", "$id", "$comment", "title", "examples"];

/// The schema as a document whose definitions are all of its objects, under names made of the types', fields' and
/// variants' own.
pub(super) fn named(schema: &Value, name: &str) -> Value {
    let mut root = schema.clone();
    let found = root.as_object_mut().and_then(|root| root.remove("$defs"));
    let mut names = Names {
        taken: BTreeSet::from([name.to_owned()]),
        renamed: BTreeMap::new(),
        definitions: Map::new(),
    };
    let found = match found {
        Some(Value::Object(found)) => found,
        _ => Map::new(),
    };
    for key in found.keys() {
        let unique = names.unique(&identifier(key));
        names.renamed.insert(key.clone(), unique);
    }
    for (key, definition) in found {
        let of = names.renamed.get(&key).cloned().unwrap_or(key);
        let definition = names.schema(definition, &of);
        names.definitions.insert(of, definition);
    }
    let mut root = names.schema(root, name);
    if let Some(root) = root.as_object_mut() {
        root.insert("title".to_owned(), name.into());
        if !names.definitions.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(names.definitions));
        }
    }
    root
}

struct Names {
    taken: BTreeSet<String>,
    /// The definitions' names of before, and those of now.
    renamed: BTreeMap<String, String>,
    definitions: Map<String, Value>,
}

impl Names {
    fn unique(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted}{number}"));
        let mut candidates = std::iter::once(wanted.to_owned()).chain(numbered);
        let name = candidates.find(|name| !self.taken.contains(name));
        let name = name.unwrap_or_else(|| wanted.to_owned());
        self.taken.insert(name.clone());
        name
    }

    /// A schema that is called `name`, with names for all objects inside.
    fn schema(&mut self, schema: Value, name: &str) -> Value {
        let Value::Object(mut keywords) = schema else {
            return schema;
        };
        keywords.retain(|keyword, value| match keyword.as_str() {
            ORDER => true,
            "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
            keyword => !keyword.starts_with("x-") && !DROPPED.contains(&keyword),
        });
        if let Some(Value::String(place)) = keywords.get_mut("$ref") {
            *place = self.moved(place);
        }
        for keyword in ["oneOf", "anyOf"] {
            if keywords.contains_key("properties") && self.is_choice(keywords.get(keyword)) {
                return self.each_with_fields(keywords, keyword, name);
            }
        }
        let mut made = Map::new();
        for (keyword, value) in keywords {
            let value = self.inside(&keyword, value, name);
            made.insert(keyword, value);
        }
        // What stands beside a reference is a part of the object like what it refers to.
        match made.remove("$ref") {
            Some(place) if made.contains_key("properties") => {
                json!({"allOf": [{"$ref": place}, Value::Object(made)]})
            }
            Some(place) => {
                made.insert("$ref".to_owned(), place);
                Value::Object(made)
            }
            None => Value::Object(made),
        }
    }

    /// The value of a keyword, with names for the objects inside.
    fn inside(&mut self, keyword: &str, value: Value, name: &str) -> Value {
        match (keyword, value) {
            ("properties", Value::Object(fields)) => {
                let fields = fields.into_iter().map(|(field, schema)| {
                    // A variant's only field is called like the variant.
                    let of = match identifier(&field) {
                        own if name.ends_with(&own) => format!("{name}Fields"),
                        own => format!("{name}{own}"),
                    };
                    (field, self.object(schema, &of))
                });
                Value::Object(fields.collect())
            }
            ("patternProperties", Value::Object(values)) => {
                let of = format!("{name}Value");
                let values = values.into_iter();
                Value::Object(
                    values
                        .map(|(pattern, schema)| (pattern, self.object(schema, &of)))
                        .collect(),
                )
            }
            ("items", value) => self.object(value, &format!("{name}Item")),
            ("additionalProperties", value) => self.object(value, &format!("{name}Value")),
            ("prefixItems", Value::Array(values)) => {
                let values = values.into_iter().enumerate();
                values
                    .map(|(index, value)| self.object(value, &format!("{name}Item{index}")))
                    .collect()
            }
            ("oneOf" | "anyOf", Value::Array(variants)) => Value::Array(self.variants(variants, name)),
            ("allOf", Value::Array(parts)) => parts.into_iter().map(|part| self.schema(part, name)).collect(),
            (_, value) => value,
        }
    }

    /// A schema inside another one: if it is an object, a definition of this name and a reference to it.
    fn object(&mut self, schema: Value, name: &str) -> Value {
        let is_object = |schema: &Value| {
            let several = schema.get("type").is_some_and(Value::is_array);
            (schema.get("properties").is_some() || schema.get("allOf").is_some()) && !several
        };
        if !is_object(&schema) {
            return self.schema(schema, name);
        }
        let of = self.unique(name);
        let schema = self.schema(schema, &of);
        self.definitions.insert(of.clone(), schema);
        reference(&of)
    }

    fn variants(&mut self, variants: Vec<Value>, name: &str) -> Vec<Value> {
        let variants: Vec<Value> = variants.into_iter().flat_map(constants).collect();
        let named = variant_names(&variants, name);
        variants
            .into_iter()
            .zip(named)
            .map(|(variant, name)| self.object(variant, &name))
            .collect()
    }

    fn is_choice(&self, variants: Option<&Value>) -> bool {
        let variants = variants.and_then(Value::as_array);
        variants.is_some_and(|variants| {
            let object =
                |variant: &Value| variant.get("properties").is_some() || variant.get("$ref").is_some();
            variants.len() > 1 && variants.iter().all(object)
        })
    }

    /// Fields beside alternatives (`#[serde(flatten)]` of an enum): each alternative has the fields.
    fn each_with_fields(&mut self, mut keywords: Map<String, Value>, choice: &str, name: &str) -> Value {
        let variants = match keywords.remove(choice) {
            Some(Value::Array(variants)) => variants,
            _ => Vec::new(),
        };
        let description = keywords.remove("description");
        let fields = self.object(Value::Object(keywords), &format!("{name}Fields"));
        let named = variant_names(&variants, name);
        let variants: Vec<Value> = variants
            .into_iter()
            .zip(named)
            .map(|(variant, of)| self.object(json!({"allOf": [fields.clone(), variant]}), &of))
            .collect();
        let mut made = Map::from_iter([(choice.to_owned(), Value::Array(variants))]);
        made.extend(description.map(|text| ("description".to_owned(), text)));
        Value::Object(made)
    }

    /// Where a reference leads now.
    fn moved(&self, place: &str) -> String {
        let Some(rest) = place.strip_prefix("#/$defs/") else {
            return place.to_owned();
        };
        let (key, inside) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        let key = key.replace("~1", "/").replace("~0", "~");
        match self.renamed.get(&key) {
            Some(name) => format!("#/$defs/{name}{inside}"),
            None => place.to_owned(),
        }
    }
}

/// Variants without a field are one list: each of them is a value, which needs no name.
fn constants(variant: Value) -> Vec<Value> {
    match variant.get("enum").and_then(Value::as_array) {
        Some(values) if variant.get("properties").is_none() => {
            let mut constant = Map::new();
            constant.extend(variant.get("type").map(|of| ("type".to_owned(), of.clone())));
            let constant = |value: &Value| {
                let mut constant = constant.clone();
                constant.insert("const".to_owned(), value.clone());
                Value::Object(constant)
            };
            values.iter().map(constant).collect()
        }
        _ => vec![variant],
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// The variants' names: by their tags, by their only field, or by a field that no other one needs.
fn variant_names(variants: &[Value], name: &str) -> Vec<String> {
    let is_null = |variant: &&Value| variant.get("type").is_some_and(|of| of == "null");
    let several = variants.iter().filter(|variant| !is_null(variant)).count() > 1;
    let own_field = |index: usize| {
        let required = |variant: &Value| -> Vec<String> {
            let names = variant.get("required").and_then(Value::as_array);
            names
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let others: BTreeSet<String> = variants
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .flat_map(|(_, variant)| required(variant))
            .collect();
        required(&variants[index])
            .into_iter()
            .find(|field| !others.contains(field))
    };
    let named = variants.iter().enumerate().map(|(index, variant)| {
        if !several {
            return name.to_owned();
        }
        if let Some(place) = variant.get("$ref").and_then(Value::as_str)
            && variant.get("properties").is_none()
        {
            return format!(
                "{name}{}",
                identifier(place.rsplit('/').next().unwrap_or_default())
            );
        }
        let word = tag(variant).or_else(|| only_field(variant));
        match word.or_else(|| own_field(index).map(|field| format!("with {field}"))) {
            Some(word) => format!("{name}{}", identifier(&word)),
            None => format!("{name}{}", index + 1),
        }
    });
    named.collect()
}

/// The text that distinguishes the variant from others.
fn tag(variant: &Value) -> Option<String> {
    let fields = variant.get("properties")?.as_object()?;
    let tag = fields.values().find_map(|field| field.get("const")?.as_str());
    tag.map(str::to_owned)
}

fn only_field(variant: &Value) -> Option<String> {
    let fields = variant.get("properties")?.as_object()?;
    let closed = variant.get("additionalProperties") == Some(&Value::Bool(false));
    let mut names = fields.keys();
    match (names.next(), names.next()) {
        (Some(only), None) if closed => Some(only.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(schema: &Value) -> Vec<String> {
        let made = named(schema, "E");
        made["$defs"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn variants_are_named_by_what_distinguishes_them() {
        let tagged = |of: &str| json!({"properties": {"kind": {"const": of}}, "required": ["kind"]});
        let only =
            |of: &str| json!({"properties": {of: {"properties": {"x": {}}}}, "additionalProperties": false});
        let needs = |of: &str| json!({"properties": {of: {}, "all": {}}, "required": ["all", of]});
        let schema = json!({
            "properties": {
                "a": {"oneOf": [tagged("by_card"), tagged("cash"), {"const": "none"}]},
                "b": {"oneOf": [only("Late"), only("Lost")]},
                "c": {"anyOf": [needs("iban"), needs("pan")]},
                "f": {"oneOf": [{"type": "string", "enum": ["x", "y"]}, only("Other"), {"type": "null"}]},
                "d": {"anyOf": [{"properties": {"y": {}}}, {"type": "null"}]},
                "e": {"items": {"$ref": "#/$defs/Of%3CT%3E"}},
            },
            "$defs": {"Of<T>": {"properties": {"t": {}}}},
        });
        assert_eq!(
            defined(&schema),
            [
                "EAByCard",
                "EACash",
                "EBLate",
                "EBLateFields",
                "EBLost",
                "EBLostFields",
                "ECWithIban",
                "ECWithPan",
                "ED",
                "EFOther",
                "EFOtherFields",
                "OfT",
            ]
        );
        let constant = &named(&schema, "E")["properties"]["f"]["oneOf"][1];
        assert_eq!(*constant, json!({"type": "string", "const": "y"}));
        assert_eq!(
            named(&schema, "E")["properties"]["e"]["items"]["$ref"],
            "#/$defs/OfT"
        );
    }

    #[test]
    fn fields_beside_alternatives_are_in_each() {
        let schema = json!({
            "properties": {"id": {}},
            "oneOf": [{"properties": {"m": {"const": "a"}}}, {"$ref": "#/$defs/B", "properties": {"m": {"const": "b"}}}],
            "$defs": {"B": {"properties": {"b": {}}}},
        });
        let made = named(&schema, "E");
        assert_eq!(
            made["oneOf"],
            json!([{"$ref": "#/$defs/EA"}, {"$ref": "#/$defs/EB"}])
        );
        assert_eq!(made["$defs"]["EA"]["allOf"][0]["$ref"], "#/$defs/EFields");
        assert_eq!(made.get("properties"), None);
    }

    #[test]
    fn names_are_given_once() {
        let schema = json!({
            "properties": {"a": {"properties": {}}},
            "$defs": {"EA": {"type": "string"}, "E": {"type": "integer", "format": "int8"}},
        });
        let made = named(&schema, "E");
        assert_eq!(made["properties"]["a"]["$ref"], "#/$defs/EA2");
        assert_eq!(made["$defs"]["E2"], json!({"type": "integer"}));
    }
}
