//! From a JSON Schema to the shapes that serde writes and reads.
//!
//! What schemars makes of serde's types is known here. Everything else ends as [`Shape::Opaque`] or among a shape's
//! unknown keywords, so that no rule can take it for something that it is not.

use std::collections::{BTreeMap, BTreeSet};

use outbox_runtime::catalog::keywords::{
    ALIASES, ALWAYS, NEEDED, NEVER_NULL, NOT_READ, READ, READ_WITH, WRITTEN_WITH,
};
use serde_json::{Map, Value};

use super::merge;
use super::numbers::{integer, number};
use super::shape::{Array, Custom, Field, Object, Rest, Shape, Text, Unknown};

/// Says nothing about which values there are.
const ANNOTATIONS: [&str; 12] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];
/// Schemas beside the keywords of a type: a value has to be of all of them.
const APPLICATORS: [&str; 5] = ["$ref", "allOf", "anyOf", "oneOf", "unevaluatedProperties"];
/// Parts the references that lead to a field or an element from those behind it.
const INSIDE: &str = "";
/// What belongs to one type only.
pub(super) const OF_NUMBERS: [&str; 2] = ["minimum", "maximum"];
const OF_TEXT: [&str; 3] = ["pattern", "minLength", "maxLength"];
const OF_ARRAYS: [&str; 5] = ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"];
const OF_OBJECTS: [&str; 4] = [
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
];

/// A schema, with the definitions that it refers to.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Shape,
    definitions: BTreeMap<String, Shape>,
}

/// Whose view of a schema it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// A field is required if it is always written.
    Written,
    /// A field is required if a reader fails without it.
    Read,
    /// As the schema says it: a field is required if it is both.
    Both,
}

impl Document {
    /// What is written.
    pub(super) fn written(schema: &Value) -> Self {
        Self::parse(schema, Side::Written)
    }

    /// What is read.
    pub(super) fn read(schema: &Value) -> Self {
        match schema.get(READ) {
            // It says all itself.
            Some(read) => Self::parse(read, Side::Both),
            None => Self::parse(schema, Side::Read),
        }
    }

    /// What the schema says to everybody.
    pub(super) fn documented(schema: &Value) -> Self {
        Self::parse(schema, Side::Both)
    }

    fn parse(schema: &Value, side: Side) -> Self {
        let parser = Parser {
            document: schema,
            side,
        };
        let mut definitions = BTreeMap::new();
        let mut wanted = vec!["#".to_owned()];
        while let Some(place) = wanted.pop() {
            if definitions.contains_key(&place) {
                continue;
            }
            let shape = match parser.target(&place) {
                Some(target) => parser.shape(target, &mut vec![place.clone()]),
                // No rule leads through what is not there.
                None => Shape::Opaque(format!("{place} is not there")),
            };
            references(&shape, &mut wanted);
            definitions.insert(place, shape);
        }
        Self {
            root: Shape::Reference("#".to_owned()),
            definitions,
        }
    }

    /// What references lead to.
    pub(super) fn resolved<'a>(&'a self, shape: &'a Shape) -> &'a Shape {
        let (mut shape, mut seen) = (shape, BTreeSet::new());
        while let Shape::Reference(place) = shape
            && seen.insert(place)
            && let Some(target) = self.definitions.get(place)
        {
            shape = target;
        }
        shape
    }

    /// The alternatives behind references and unions: what a value is exactly one of. None for a type without values.
    pub(super) fn alternatives<'a>(&'a self, shape: &'a Shape) -> Vec<&'a Shape> {
        let (mut found, mut open, mut seen) = (Vec::new(), vec![shape], BTreeSet::new());
        while let Some(shape) = open.pop() {
            match shape {
                Shape::Reference(place) if seen.insert(place) => open.extend(self.definitions.get(place)),
                Shape::Reference(_) => {}
                Shape::Union(alternatives) => open.extend(alternatives.iter().rev()),
                other => found.push(other),
            }
        }
        found
    }
}

/// All places that a shape refers to.
fn references(shape: &Shape, found: &mut Vec<String>) {
    match shape {
        Shape::Reference(place) => found.push(place.clone()),
        Shape::Union(alternatives) => alternatives.iter().for_each(|shape| references(shape, found)),
        Shape::Array(array) => {
            array.first.iter().for_each(|shape| references(shape, found));
            references(&array.others, found);
        }
        Shape::Custom(custom) => references(&custom.shape, found),
        Shape::Object(object) => {
            object
                .fields
                .values()
                .for_each(|field| references(&field.shape, found));
            match &object.rest {
                Rest::Values(shape) => references(shape, found),
                Rest::Keyed(shapes) => shapes.values().for_each(|shape| references(shape, found)),
                Rest::Ignored | Rest::Refused => {}
            }
        }
        _ => {}
    }
}

/// Reads one document.
pub(super) struct Parser<'a> {
    document: &'a Value,
    side: Side,
}

impl<'a> Parser<'a> {
    fn target(&self, place: &str) -> Option<&'a Value> {
        let pointer = place.strip_prefix('#')?;
        // A place is part of a URI, where schemars writes `%3C` for the `<` of a name.
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
        self.document.pointer(&pointer)
    }

    /// `open` are the references that were followed to come here.
    pub(super) fn shape(&self, schema: &Value, open: &mut Vec<String>) -> Shape {
        let shape = self.of_its_type(schema, open);
        let function = |keyword: &str| schema.get(keyword).and_then(Value::as_str).map(str::to_owned);
        match (function(WRITTEN_WITH), function(READ_WITH)) {
            (None, None) => shape,
            (written_with, read_with) => Shape::Custom(Box::new(Custom {
                written_with,
                read_with,
                shape,
            })),
        }
    }

    /// Whatever functions write and read it.
    fn of_its_type(&self, schema: &Value, open: &mut Vec<String>) -> Shape {
        let Value::Object(keywords) = schema else {
            return match schema {
                Value::Bool(true) => Shape::Any,
                Value::Bool(false) => Shape::Union(Vec::new()),
                other => self.opaque(other),
            };
        };
        let mut parts = Vec::new();
        if let Some(part) = self.own(schema, keywords, open) {
            parts.push(part);
        }
        if let Some(reference) = keywords.get("$ref") {
            match reference.as_str() {
                Some(place) if self.target(place).is_some() => parts.push(Shape::Reference(place.to_owned())),
                _ => parts.push(self.opaque(schema)),
            }
        }
        for applicator in ["anyOf", "oneOf", "allOf"] {
            let Some(of) = keywords.get(applicator) else {
                continue;
            };
            let Value::Array(of) = of else {
                return self.opaque(schema);
            };
            let of = of.iter().map(|schema| self.shape(schema, open));
            match applicator {
                "allOf" => parts.extend(of),
                _ => parts.push(Shape::Union(of.collect())),
            }
        }
        let merged = merge::all(self, parts, open).unwrap_or_else(|| self.opaque(schema));
        match keywords.get("unevaluatedProperties") {
            Some(rest) => merge::close(self, merged, &self.rest(rest, open), open)
                .unwrap_or_else(|| self.opaque(schema)),
            None => merged,
        }
    }

    /// What a reference leads to, unless it leads back to where we came from: then there is no end to it.
    pub(super) fn follow(&self, place: &str, open: &mut Vec<String>) -> Option<Shape> {
        let here = open.iter().rev().take_while(|before| *before != INSIDE);
        if here.into_iter().any(|before| before == place)
            || open.iter().filter(|before| *before == place).count() > 1
        {
            return None;
        }
        open.push(place.to_owned());
        let shape = self.shape(self.target(place)?, open);
        open.pop();
        Some(shape)
    }

    /// What the schema says itself, without the schemas beside it; `None` if nothing.
    fn own(&self, schema: &Value, keywords: &Map<String, Value>, open: &mut Vec<String>) -> Option<Shape> {
        let said: Vec<&str> = keywords
            .keys()
            .map(String::as_str)
            .filter(|keyword| !ANNOTATIONS.contains(keyword) && !APPLICATORS.contains(keyword))
            .filter(|keyword| !keyword.starts_with("x-"))
            .collect();
        if said.is_empty() {
            return None;
        }
        if said == ["not"] && keywords.get("not") == Some(&Value::Object(Map::new())) {
            return Some(Shape::Union(Vec::new()));
        }
        if said.contains(&"const") || said.contains(&"enum") {
            return Some(self.literals(schema, keywords, &said));
        }
        // About all that stands beside it, so never to be judged alone.
        if said.contains(&"unevaluatedItems") {
            return Some(self.opaque(schema));
        }
        let names = match keywords.get("type") {
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            None if said.iter().all(|keyword| OF_OBJECTS.contains(keyword)) => vec!["object"],
            _ => return Some(self.opaque(schema)),
        };
        let one_type_each = OF_NUMBERS
            .iter()
            .chain(&OF_TEXT)
            .chain(&OF_ARRAYS)
            .chain(&OF_OBJECTS);
        let known: BTreeSet<&str> = one_type_each.copied().chain(["type", "format"]).collect();
        let unknown: Unknown = said
            .iter()
            .filter(|keyword| !known.contains(*keyword))
            .filter_map(|keyword| Some(((*keyword).to_owned(), self.text(keywords.get(*keyword)?))))
            .collect();
        let shapes: Option<Vec<Shape>> = names
            .iter()
            .map(|name| self.of_type(name, keywords, &unknown, open))
            .collect();
        match shapes {
            Some(mut shapes) if shapes.len() == 1 => shapes.pop(),
            Some(shapes) => Some(Shape::Union(shapes)),
            None => Some(self.opaque(schema)),
        }
    }

    /// The values that are listed, of those types that are named.
    fn literals(&self, schema: &Value, keywords: &Map<String, Value>, said: &[&str]) -> Shape {
        let values: Vec<Value> = match (keywords.get("const"), keywords.get("enum")) {
            (Some(value), None) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => return self.opaque(schema),
        };
        let plain = ["const", "enum", "type", "format", "minimum", "maximum"];
        if !said.iter().all(|keyword| plain.contains(keyword))
            || values.iter().any(|value| value.is_object() || value.is_array())
        {
            return self.opaque(schema);
        }
        let mut shapes = values.into_iter().map(|value| match value {
            Value::Null => Shape::Null,
            other => Shape::Literal(other),
        });
        match (shapes.next(), shapes.len()) {
            (Some(only), 0) => only,
            (first, _) => Shape::Union(first.into_iter().chain(shapes).collect()),
        }
    }

    fn of_type(
        &self,
        name: &str,
        keywords: &Map<String, Value>,
        unknown: &Unknown,
        open: &mut Vec<String>,
    ) -> Option<Shape> {
        let unknown = unknown.clone();
        Some(match name {
            "null" if unknown.is_empty() => Shape::Null,
            "boolean" if unknown.is_empty() => Shape::Boolean,
            "integer" => Shape::Integer(integer(keywords, unknown)?),
            "number" => Shape::Number(number(keywords, unknown)?),
            "string" => Shape::Text(Text {
                format: text_of(keywords, "format")?,
                pattern: text_of(keywords, "pattern")?,
                shortest: count_of(keywords, "minLength")?.unwrap_or(0),
                longest: count_of(keywords, "maxLength")?,
                unknown,
            }),
            "array" => Shape::Array(self.array(keywords, unknown, open)?),
            "object" => Shape::Object(self.object(keywords, unknown, open)?),
            _ => return None,
        })
    }

    fn array(
        &self,
        keywords: &Map<String, Value>,
        unknown: Unknown,
        open: &mut Vec<String>,
    ) -> Option<Array> {
        let first = match keywords.get("prefixItems") {
            None => Vec::new(),
            Some(Value::Array(first)) => first.iter().map(|schema| self.inner(schema, open)).collect(),
            Some(_) => return None,
        };
        // `uniqueItems`: a set reads an element twice, and keeps it once.
        Some(Array {
            first,
            others: Box::new(
                keywords
                    .get("items")
                    .map_or(Shape::Any, |items| self.inner(items, open)),
            ),
            shortest: count_of(keywords, "minItems")?.unwrap_or(0),
            longest: count_of(keywords, "maxItems")?,
            unknown,
        })
    }

    fn object(
        &self,
        keywords: &Map<String, Value>,
        unknown: Unknown,
        open: &mut Vec<String>,
    ) -> Option<Object> {
        let empty = Map::new();
        let properties = match keywords.get("properties") {
            None => &empty,
            Some(properties) => properties.as_object()?,
        };
        let not_read = |schema: &Value| schema.get(NOT_READ) == Some(&Value::Bool(true));
        let mut fields: BTreeMap<String, Field> = properties
            .iter()
            .filter(|(_, schema)| self.side != Side::Read || !not_read(schema))
            .map(|(name, schema)| (name.clone(), self.field(schema, open)))
            .collect();
        for name in self.required(keywords) {
            let unnamed = || self.field(&Value::Bool(true), open);
            fields.entry(name.to_owned()).or_insert_with(unnamed).required = true;
        }
        let rest = match (
            keywords.get("patternProperties"),
            keywords.get("additionalProperties"),
        ) {
            (None, None) => Rest::Ignored,
            (None, Some(rest)) => self.rest(rest, open),
            (Some(Value::Object(patterns)), Some(Value::Bool(false))) => Rest::Keyed(
                patterns
                    .iter()
                    .map(|(pattern, schema)| (pattern.clone(), self.inner(schema, open)))
                    .collect(),
            ),
            (Some(_), _) => return None,
        };
        Some(Object {
            fields,
            rest,
            unknown,
        })
    }

    /// The fields that are required from this side.
    fn required<'k>(&self, keywords: &'k Map<String, Value>) -> impl Iterator<Item = &'k str> {
        let more = match self.side {
            Side::Written => keywords.get(ALWAYS),
            Side::Read => keywords.get(NEEDED),
            Side::Both => None,
        };
        let names = [keywords.get("required"), more].into_iter().flatten();
        names
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str)
    }

    fn field(&self, schema: &Value, open: &mut Vec<String>) -> Field {
        let aliases = schema
            .get(ALIASES)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut shape = self.inner(schema, open);
        let known = match schema.get(NEVER_NULL) {
            Some(Value::Bool(known)) => *known,
            Some(Value::String(known)) => known == "named" && shape.is_named(),
            _ => false,
        };
        if known && self.side == Side::Written {
            shape = shape.without_null();
        }
        Field {
            shape,
            required: false,
            aliases: aliases.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    fn rest(&self, schema: &Value, open: &mut Vec<String>) -> Rest {
        match schema {
            Value::Bool(false) => Rest::Refused,
            other => Rest::Values(Box::new(self.inner(other, open))),
        }
    }

    /// Behind a field or an element a reference may be followed again.
    fn inner(&self, schema: &Value, open: &mut Vec<String>) -> Shape {
        open.push(INSIDE.to_owned());
        let shape = self.shape(schema, open);
        open.pop();
        shape
    }

    fn opaque(&self, schema: &Value) -> Shape {
        Shape::Opaque(self.text(schema))
    }

    /// A schema's text with that of all definitions which it refers to.
    fn text(&self, schema: &Value) -> String {
        let (mut text, mut open, mut seen) = (schema.to_string(), vec![schema], BTreeSet::new());
        while let Some(value) = open.pop() {
            match value {
                Value::Array(values) => open.extend(values),
                Value::Object(entries) => {
                    let place = entries.get("$ref").and_then(Value::as_str);
                    if let Some(place) = place.filter(|place| seen.insert(place.to_owned()))
                        && let Some(target) = self.target(place)
                    {
                        text.push_str(&format!("\n{place}: {target}"));
                        open.push(target);
                    }
                    open.extend(entries.values());
                }
                _ => {}
            }
        }
        text
    }
}

/// The keyword's text, `Some(None)` without the keyword, `None` if it is something else.
pub(super) fn text_of(keywords: &Map<String, Value>, keyword: &str) -> Option<Option<String>> {
    match keywords.get(keyword) {
        None => Some(None),
        Some(value) => value.as_str().map(|text| Some(text.to_owned())),
    }
}

fn count_of(keywords: &Map<String, Value>, keyword: &str) -> Option<Option<u64>> {
    match keywords.get(keyword) {
        None => Some(None),
        Some(value) => value.as_u64().map(Some),
    }
}
