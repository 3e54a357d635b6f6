//! The files `<type>.v<N>.json`: an event's schema, and what else its readers rely on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::field_order;
use super::json_text::json_text;
use super::portable::{bound, portable, restored};
use super::{CatalogDocument, EventDescription, HeaderDescription};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Where the file says what the schema language has no word for.
const DECLARATION: &str = "x-outbox";

/// What an event's derive declares beside the payload, as far as consumers rely on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Declaration {
    /// The type, sent as `ce_type`.
    pub event_type: String,
    /// The version of the type.
    pub version: u32,
    /// The topic, or the template of its name.
    pub topic: String,
    /// The type of the aggregate.
    pub aggregate: String,
    /// The key, as the derive names it.
    pub key: String,
    /// The media type of the payload.
    pub content_type: String,
    /// The CloudEvents source, if it is not the relay's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The headers that the event declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderDescription>,
}

/// The JSON Schema file (2020-12) of one version of an event, with topic, key, aggregate and headers in its
/// `$comment`.
///
/// The file's text has no keyword and no format that is not the dialect's own, so that strict validators take it; what
/// has no word there stands in `$comment`, as JSON behind `outbox:`.
///
/// The same event gives the same text, everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaFile {
    declaration: Declaration,
    schema: Value,
}

/// Why a schema file cannot be generated or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFileError(String);

impl fmt::Display for SchemaFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SchemaFileError {}

impl SchemaFile {
    /// The files of all events that have a schema, in the catalog's order.
    ///
    /// # Errors
    /// If two events belong into one file, or a type's name cannot be a file's.
    pub fn all(catalog: &CatalogDocument) -> Result<Vec<Self>, SchemaFileError> {
        let mut places: BTreeMap<String, &EventDescription> = BTreeMap::new();
        let mut files = Vec::new();
        for event in &catalog.events {
            let Some(file) = Self::of(event, &catalog.package) else {
                continue;
            };
            let name = file.name();
            if !is_file_name(&name) {
                return Err(SchemaFileError(format!(
                    "the event type `{}` of {} cannot be a file's name: use letters, digits, `.`, `-` and `_`",
                    event.event_type, event.rust_type
                )));
            }
            // Some file systems take upper and lower case for the same.
            if let Some(other) = places.insert(name.to_lowercase(), event) {
                return Err(SchemaFileError(format!(
                    "two events belong into {name}: {} ({}:{}) and {} ({}:{}); give one of them another `event_type` \
                     or `version`",
                    other.rust_type,
                    other.location.file,
                    other.location.line,
                    event.rust_type,
                    event.location.file,
                    event.location.line,
                )));
            }
            files.push(file);
        }
        Ok(files)
    }

    /// The event's file; `None` if the event has no `#[outbox(schema)]`.
    pub fn of(event: &EventDescription, package: &str) -> Option<Self> {
        let mut schema = match event.schema.as_ref()? {
            Value::Object(keywords) => keywords.clone(),
            Value::Bool(false) => Map::from_iter([("not".to_owned(), Value::Object(Map::new()))]),
            _ => Map::new(),
        };
        let declaration = Declaration {
            event_type: event.event_type.clone(),
            version: event.version,
            topic: event.topic.clone(),
            aggregate: event.aggregate.clone(),
            key: event.key.clone(),
            content_type: event.content_type.clone(),
            source: event.source.clone(),
            headers: event.headers.clone(),
        };
        let name = |text: &str| {
            text.split(unreserved)
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .join("-")
        };
        let id = format!(
            "urn:outbox:{}:{}:v{}",
            name(package),
            name(&event.event_type),
            event.version
        );
        let comment = format!(
            "Generated by `outbox generate schemas` from {}. Do not edit.",
            event.rust_type
        );
        schema.insert("$schema".to_owned(), DIALECT.into());
        schema.insert("$id".to_owned(), id.into());
        schema.insert("$comment".to_owned(), comment.into());
        schema
            .entry("title")
            .or_insert_with(|| event.event_type.clone().into());
        if !event.doc.is_empty() {
            schema
                .entry("description")
                .or_insert_with(|| event.doc.clone().into());
        }
        schema.insert(DECLARATION.to_owned(), serde_json::to_value(&declaration).ok()?);
        let mut schema = field_order::without(Value::Object(schema));
        bound(&mut schema);
        Some(Self { declaration, schema })
    }

    /// Reads all `.json` files of a directory, not of its subdirectories.
    ///
    /// # Errors
    /// If the directory cannot be read, holds no such file, or one that is something else.
    pub fn read_all(directory: impl AsRef<Path>) -> Result<Vec<Self>, SchemaFileError> {
        let directory = directory.as_ref();
        let cannot =
            |path: &Path, error: &dyn fmt::Display| SchemaFileError(format!("{}: {error}", path.display()));
        let entries = std::fs::read_dir(directory).map_err(|error| cannot(directory, &error))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| cannot(directory, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err(cannot(directory, &"there is no schema file"));
        }
        paths.sort();
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|error| cannot(path, &error))?;
            Self::parse(&text).map_err(|error| cannot(path, &error))
        };
        paths.iter().map(read).collect()
    }

    /// Parses a schema file.
    ///
    /// # Errors
    /// If the text is no JSON, or no such file.
    pub fn parse(text: &str) -> Result<Self, SchemaFileError> {
        let schema: Value =
            serde_json::from_str(text).map_err(|error| SchemaFileError(format!("it is no JSON: {error}")))?;
        let mut schema = restored(&schema);
        // Files of an earlier version have the formats alone.
        bound(&mut schema);
        let declaration = schema.get(DECLARATION).ok_or_else(|| {
            SchemaFileError(format!(
                "it has no `{DECLARATION}`, so `outbox generate schemas` did not write it"
            ))
        })?;
        let declaration = Declaration::deserialize(declaration)
            .map_err(|error| SchemaFileError(format!("its `{DECLARATION}` cannot be read: {error}")))?;
        Ok(Self { declaration, schema })
    }

    /// Files by type and version.
    ///
    /// # Errors
    /// If two hold the same event.
    pub fn by_version(files: &[Self]) -> Result<BTreeMap<(&str, u32), &Self>, SchemaFileError> {
        let mut by_version = BTreeMap::new();
        for file in files {
            let (event_type, version) = (file.event_type(), file.version());
            if by_version.insert((event_type, version), file).is_some() {
                return Err(SchemaFileError(format!(
                    "two files hold `{event_type}` version {version}"
                )));
            }
        }
        Ok(by_version)
    }

    /// Topic, key, headers and what else the file says beside the payload.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// The event's type, sent as `ce_type`.
    pub fn event_type(&self) -> &str {
        &self.declaration.event_type
    }

    /// The version of the type.
    pub fn version(&self) -> u32 {
        self.declaration.version
    }

    /// The file's name.
    pub fn name(&self) -> String {
        format!(
            "{}.v{}.json",
            self.declaration.event_type, self.declaration.version
        )
    }

    /// The JSON Schema, including the information in comments.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The file's text.
    pub fn text(&self) -> String {
        json_text(&portable(&self.schema))
    }
}

/// What a URN does not take as it is.
fn unreserved(character: char) -> bool {
    !(character.is_ascii_alphanumeric() || ['-', '.', '_', '~'].contains(&character))
}

fn is_file_name(name: &str) -> bool {
    !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || ['.', '-', '_'].contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SourceLocation;

    fn event(event_type: &str, version: u32, rust_type: &str) -> EventDescription {
        EventDescription {
            event_type: event_type.to_owned(),
            version,
            topic: "shop.order.placed.v1".to_owned(),
            aggregate: "order".to_owned(),
            key: "order_id".to_owned(),
            content_type: "application/json".to_owned(),
            source: None,
            occurred_at: None,
            correlation_id: None,
            headers: Vec::new(),
            rust_type: rust_type.to_owned(),
            location: SourceLocation {
                file: "src/events.rs".to_owned(),
                line: 7,
            },
            doc: "An order was placed.".to_owned(),
            schema: Some(serde_json::json!({
                "type": "object",
                "title": rust_type,
                "properties": {"order_id": {"type": "integer", "format": "int64"}},
            })),
        }
    }

    fn catalog(events: &[EventDescription]) -> CatalogDocument {
        CatalogDocument {
            schema_version: 1,
            package: "shop".to_owned(),
            events: events.to_vec(),
        }
    }

    #[test]
    fn a_file_is_named_by_type_and_version_and_read_back_as_it_was() {
        let files = SchemaFile::all(&catalog(&[event("OrderPlacedV1", 1, "shop::OrderPlacedV1")])).unwrap();
        assert_eq!(files[0].name(), "OrderPlacedV1.v1.json");
        assert_eq!(SchemaFile::parse(&files[0].text()).unwrap(), files[0]);
        assert_eq!(files[0].schema()["$id"], "urn:outbox:shop:OrderPlacedV1:v1");
        assert_eq!(files[0].schema()["description"], "An order was placed.");
        let text: Value = serde_json::from_str(&files[0].text()).unwrap();
        assert_eq!(text["x-outbox"], Value::Null);
        assert_eq!(text["properties"]["order_id"].get("format"), None);
        // As an earlier version wrote it.
        let mut earlier = files[0].schema.clone();
        earlier["properties"]["order_id"] = serde_json::json!({"type": "integer", "format": "int64"});
        assert_eq!(SchemaFile::parse(&json_text(&earlier)).unwrap(), files[0]);
    }

    #[test]
    fn an_event_without_a_schema_has_no_file() {
        let without = EventDescription {
            schema: None,
            ..event("A", 1, "shop::A")
        };
        assert_eq!(SchemaFile::all(&catalog(&[without])).unwrap(), []);
    }

    #[test]
    fn two_events_in_one_file_are_reported_with_their_locations() {
        let error = SchemaFile::all(&catalog(&[
            event("A", 1, "shop::one::A"),
            event("a", 1, "shop::two::A"),
        ]));
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("shop::one::A (src/events.rs:7) and shop::two::A"),
            "{text}"
        );
        assert!(SchemaFile::all(&catalog(&[event("A", 1, "shop::A"), event("A", 2, "shop::A2")])).is_ok());
    }

    #[test]
    fn a_type_that_is_no_file_name_is_refused() {
        for wrong in ["orders/placed", "..", "a b", "C:x", ""] {
            let error = SchemaFile::all(&catalog(&[event(wrong, 1, "shop::A")])).unwrap_err();
            assert!(error.to_string().contains("shop::A"), "{error}");
        }
    }

    #[test]
    fn foreign_files_are_distinguished_from_broken_ones() {
        for (text, words) in [
            ("{", "no JSON"),
            ("{}", "did not write it"),
            ("[1]", "did not write it"),
            (r#"{"x-outbox": {"event_type": "A"}}"#, "missing field"),
        ] {
            let error = SchemaFile::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
