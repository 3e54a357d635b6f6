//! Each key of the file with the value that is in force, and where it comes from.

use serde::Serialize;
use serde_json::Value;

/// A key and its value.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Key {
    /// With its section: `alerts.backlog_age`.
    pub(crate) key: String,
    /// None: left to whoever uses it.
    pub(crate) value: Option<Value>,
    pub(crate) source: KeySource,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeySource {
    Default,
    File,
    Environment,
    /// There is neither a value nor a default. A whole section: it is not in the file, and nothing is generated for it.
    NotSet,
}

/// All keys that the schema knows, in its order. `file` is the file's content.
pub(crate) fn keys(schema: &Value, file: &Value) -> Vec<Key> {
    let mut found = Vec::new();
    walk(schema, Some(file), "", &mut found);
    found
}

fn walk(schema: &Value, file: Option<&Value>, path: &str, found: &mut Vec<Key>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let any = schema.get("additionalProperties").filter(|any| any.is_object());
    let section = properties.is_some() || any.is_some();
    match (section, file) {
        (true, None) => found.push(Key {
            key: path.to_owned(),
            value: None,
            source: KeySource::NotSet,
        }),
        (true, Some(file)) => {
            for (name, inner) in properties.into_iter().flatten() {
                walk(inner, file.get(name), &below(path, name), found);
            }
            let Some(any) = any else { return };
            for (name, value) in file.as_object().into_iter().flatten() {
                if properties.is_none_or(|known| !known.contains_key(name)) {
                    walk(any, Some(value), &below(path, name), found);
                }
            }
        }
        (false, Some(value)) => found.push(Key {
            key: path.to_owned(),
            value: Some(value.clone()),
            source: KeySource::File,
        }),
        (false, None) => {
            let default = schema
                .get("default")
                .filter(|default| !default.is_null())
                .cloned();
            let source = match default {
                Some(_) => KeySource::Default,
                None => KeySource::NotSet,
            };
            found.push(Key {
                key: path.to_owned(),
                value: default,
                source,
            });
        }
    }
}

/// The key below a section, as TOML writes it.
fn below(path: &str, name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let name = match name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    };
    match path {
        "" => name,
        path => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::schema;

    fn of(file: Value) -> Vec<String> {
        let keys = keys(&schema(), &file);
        keys.iter()
            .map(|key| {
                let value = key.value.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{} {value} {:?}", key.key, key.source)
            })
            .collect()
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        let keys = of(json!({}));
        assert!(keys.contains(&"topic_prefix  NotSet".to_owned()), "{keys:?}");
        assert!(keys.contains(&"alerts  NotSet".to_owned()), "{keys:?}");
        assert!(keys.iter().all(|key| key.ends_with("NotSet")), "{keys:?}");
    }

    #[test]
    fn a_section_that_is_there_has_its_defaults() {
        let keys = of(json!({
            "alerts": { "leader_changes": 5 },
            "topics": { "defaults": { "partitions": 3 }, "a.b": { "settings": { "x.y": "z" } } },
        }));
        for wanted in [
            "alerts.leader_changes 5 File",
            "alerts.consumer_lag 100 Default",
            "alerts.backlog_age \"1m\" Default",
            "topics.defaults.partitions 3 File",
            "topics.defaults.retention  NotSet",
            "topics.\"a.b\".settings.\"x.y\" \"z\" File",
            "dashboard  NotSet",
        ] {
            assert!(keys.contains(&wanted.to_owned()), "no {wanted} in {keys:#?}");
        }
    }
}
