//! `outbox.toml`, the configuration of `outbox generate --all` and `outbox topics`.
//!
//! These types are the file's one definition: its JSON Schema is derived from them, and the keys that the schema
//! knows are the keys that the file may have.

mod consumers;
mod debezium;
mod effective;
mod file;
mod migrations;
mod mode;
mod monitoring;
mod package;
mod place;
mod retention;
mod specifications;
mod topics;
mod unknown;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;

use crate::artifact::{Artifact, generated_by};

pub(crate) use consumers::{Consumers, Language};
pub(crate) use debezium::{Debezium, Payloads};
pub(crate) use effective::{Key, KeySource, keys};
pub(crate) use file::{ConfigFile, load_catalog};
pub(crate) use migrations::{Database, Format, Migrations, PartitionRows};
pub(crate) use mode::Mode;
pub(crate) use monitoring::{Alerts, Dashboard};
pub(crate) use package::Package;
pub(crate) use specifications::{Asyncapi, Schemas};
pub(crate) use topics::Topics;
pub(crate) use unknown::closest;

/// What the file is called.
pub(crate) const FILE_NAME: &str = "outbox.toml";

/// What its JSON Schema is called.
pub(crate) const SCHEMA_NAME: &str = "outbox.schema.json";

/// The crate that declares the events, the files to generate, and the settings of the topics.
/// `outbox generate --all` generates each section that is present.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "outbox.toml")]
pub(crate) struct Config {
    /// Prefix of the topics' names in the cluster, such as `dev.`, for several environments in one cluster. Topics in this
    /// file are written without it.
    pub(crate) topic_prefix: Option<String>,
    /// The crate that declares the events.
    pub(crate) package: Package,
    /// Migrations of the outbox tables.
    pub(crate) migrations: Option<Migrations>,
    /// JSON Schema files of the events.
    pub(crate) schemas: Option<Schemas>,
    /// An AsyncAPI document of the events.
    pub(crate) asyncapi: Option<Asyncapi>,
    /// Configuration of Kafka Connect with Debezium.
    pub(crate) debezium: Option<Debezium>,
    /// Code for consumers, one section for each language.
    pub(crate) consumers: Consumers,
    /// How events reach Kafka where the database says nothing.
    pub(crate) mode: Option<Mode>,
    /// Rules for Prometheus, and their thresholds.
    pub(crate) alerts: Option<Alerts>,
    /// A dashboard for Grafana.
    pub(crate) dashboard: Option<Dashboard>,
    /// Settings of topics: `[topics.defaults]`, and `[topics."name"]` for exceptions.
    pub(crate) topics: Topics,
}

/// The JSON Schema of the file, the same text everywhere.
pub(crate) fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    schemars::transform::transform_subschemas(&mut without_null, &mut schema);
    schema.to_value()
}

/// The schema as a file, for editors.
pub(crate) fn schema_file() -> Artifact {
    let mut schema = schema();
    if let Some(schema) = schema.as_object_mut() {
        let about = generated_by("outbox generate config-schema");
        schema.insert("$comment".to_owned(), about.into());
    }
    Artifact {
        name: SCHEMA_NAME.to_owned(),
        contents: format!("{schema:#}\n"),
    }
}

/// TOML has no null: what is left out is left out. And Rust's names for numbers are no words of JSON Schema.
fn without_null(schema: &mut schemars::Schema) {
    schemars::transform::transform_subschemas(&mut without_null, schema);
    // The bounds beside them say as much, and a strict validator refuses a format that it does not know.
    schema.remove("format");
    if schema.get("default").is_some_and(serde_json::Value::is_null) {
        schema.remove("default");
    }
    let Some(types) = schema.get("type").and_then(serde_json::Value::as_array) else {
        return;
    };
    let left: Vec<_> = types.iter().filter(|kind| *kind != "null").cloned().collect();
    if let [only] = left.as_slice() {
        schema.insert("type".to_owned(), only.clone());
    }
}
