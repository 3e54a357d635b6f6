//! A schema as a table of its fields.

use std::collections::BTreeSet;

use serde_json::Value;

use super::html::{code, escape};

/// Alternatives and nested objects are rows further in; a type within itself is only named.
pub(super) fn fields(document: &Value, schema: &Value) -> String {
    let mut table = Table {
        document,
        rows: String::new(),
        open: BTreeSet::new(),
    };
    let (own, what) = (table.kind(schema), table.about(schema));
    table.inner(schema, 0);
    if table.rows.is_empty() {
        return format!("<p>{} {}</p>\n", escape(&own), code(&what));
    }
    format!(
        "<table>\n<thead><tr><th>Field</th><th>Type</th><th>About</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>\n",
        table.rows
    )
}

struct Table<'a> {
    document: &'a Value,
    rows: String,
    open: BTreeSet<&'a str>,
}

impl<'a> Table<'a> {
    fn target(&self, schema: &'a Value) -> Option<(&'a str, &'a Value)> {
        let place = schema.get("$ref")?.as_str()?;
        Some((place, self.document.pointer(place.strip_prefix('#')?)?))
    }

    /// Rows for what is inside of a value.
    fn inner(&mut self, schema: &'a Value, deep: usize) {
        if let Some((place, target)) = self.target(schema) {
            if self.open.insert(place) {
                self.inner(target, deep);
                self.open.remove(place);
            }
            return;
        }
        let list = |keyword: &str| {
            schema
                .get(keyword)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        list("allOf").for_each(|part| self.inner(part, deep));
        let required: Vec<&str> = list("required").filter_map(Value::as_str).collect();
        for (name, field) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            self.row(name, field, !required.contains(&name.as_str()), deep);
        }
        match schema.get("items") {
            Some(Value::Array(elements)) => {
                elements
                    .iter()
                    .enumerate()
                    .for_each(|(index, of)| self.row(&format!("[{index}]"), of, false, deep));
            }
            Some(of) => self.inner(of, deep),
            None => {}
        }
        if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
            self.row("any name", values, true, deep);
        }
        let alternatives: Vec<&Value> = list("oneOf")
            .chain(list("anyOf"))
            .filter(|of| !is_null(of))
            .collect();
        match alternatives.as_slice() {
            [only] => self.inner(only, deep),
            several => several.iter().for_each(|of| self.alternative(of, deep)),
        }
    }

    fn row(&mut self, name: &str, field: &'a Value, optional: bool, deep: usize) {
        let optional = if optional {
            " <span class=\"optional\">optional</span>"
        } else {
            ""
        };
        self.rows.push_str(&format!(
            "<tr><td class=\"deep-{}\"><code>{}</code>{optional}</td><td>{}</td><td>{}</td></tr>\n",
            deep.min(6),
            escape(name),
            escape(&self.kind(field)),
            code(&self.about(field)),
        ));
        self.inner(field, deep + 1);
    }

    /// Plain values of an enum are in the type's words already.
    fn alternative(&mut self, schema: &'a Value, deep: usize) {
        let target = self.target(schema).map_or(schema, |(_, target)| target);
        if target.get("properties").is_none()
            && target.get("allOf").is_none()
            && target.get("oneOf").is_none()
        {
            return;
        }
        self.rows.push_str(&format!(
            "<tr class=\"alternative\"><td class=\"deep-{}\" colspan=\"2\">either</td><td>{}</td></tr>\n",
            deep.min(6),
            code(&self.about(target)),
        ));
        self.inner(schema, deep + 1);
    }

    fn kind(&self, schema: &'a Value) -> String {
        if let Some((place, target)) = self.target(schema) {
            return if self.open.contains(place) {
                "the same type again".to_owned()
            } else {
                self.kind(target)
            };
        }
        let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        if let Some(value) = schema.get("const") {
            return value.to_string();
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return values
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join(" | ");
        }
        for keyword in ["allOf", "oneOf", "anyOf"] {
            let Some(Value::Array(of)) = schema.get(keyword) else {
                continue;
            };
            let mut kinds: Vec<String> = of.iter().map(|of| self.kind(of)).collect();
            kinds.dedup();
            return kinds.join(" | ");
        }
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(name) => name.as_str().into_iter().collect(),
            None => return "any".to_owned(),
        };
        let named = names
            .iter()
            .map(|name| match (*name, text("format"), schema.get("items")) {
                ("array", _, Some(of @ Value::Object(_))) => format!("array of {}", self.kind(of)),
                ("null" | "object", ..) | (_, None, _) => (*name).to_owned(),
                (name, Some(format), _) => format!("{name} ({format})"),
            });
        named.collect::<Vec<_>>().join(" | ")
    }

    fn about(&self, schema: &'a Value) -> String {
        let own = schema
            .get("description")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let behind = || self.target(schema).map(|(_, target)| self.about(target));
        own.or_else(behind).unwrap_or_default()
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|of| of == "null")
}
