//! `#[outbox(schema)]`: the payload's JSON Schema, which the payload itself has to fit.

use outbox_runtime::catalog::Catalog;
use outbox_runtime::{OutboxEvent, Payload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[serde(rename_all = "camelCase")]
#[outbox(topic = "schemas.renamed", aggregate = "a", key = order_id, schema)]
struct RenamedV1 {
    /// Which order.
    order_id: u64,
    note: Option<String>,
    #[serde(default)]
    count: u32,
    #[serde(rename = "lines")]
    items: Vec<Line>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Line {
    sku: String,
    next: Option<Box<Line>>,
}

fn schema(event_type: &str) -> Value {
    Catalog::global()
        .by_type(event_type)
        .next()
        .unwrap()
        .schema()
        .unwrap()
}

#[test]
fn renamed_and_nested_fields() {
    let schema = schema("RenamedV1");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "RenamedV1");
    assert_eq!(schema["properties"]["orderId"]["description"], "Which order.");
    assert_eq!(schema["required"], json!(["orderId", "lines"]));
    assert_eq!(schema["properties"]["lines"]["items"]["$ref"], "#/$defs/Line");
    assert_eq!(schema["$defs"]["Line"]["required"], json!(["sku"]));
}

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[outbox(topic = "schemas.aliases", aggregate = "a", key = order_id, schema)]
struct AliasesV1 {
    #[serde(alias = "id", alias = "order")]
    order_id: u64,
    #[serde(rename = "full", alias = "name", default)]
    full_name: Value,
    #[schemars(extend("x-serde-alias" = ["by hand"]))]
    #[serde(alias = "by hand")]
    tenant: Option<Box<Line>>,
    plain: u8,
}

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[serde(rename_all_fields = "camelCase")]
#[outbox(topic = "schemas.aliases", aggregate = "a", key = order_id, schema)]
enum Aliases {
    #[outbox(event_type = "AliasesInAVariant")]
    Variant {
        #[serde(alias = "id")]
        order_id: u64,
    },
}

/// They are said once, to serde.
#[test]
fn other_names_under_which_fields_are_read() {
    let aliases = |properties: &Value| -> Vec<(String, Value)> {
        let properties = properties.as_object().unwrap().iter();
        properties
            .filter_map(|(name, field)| Some((name.clone(), field.get("x-serde-alias")?.clone())))
            .collect()
    };
    let said = |name: &str, aliases: Value| (name.to_owned(), aliases);
    let plain = schema("AliasesV1");
    assert_eq!(
        aliases(&plain["properties"]),
        [
            said("full", json!(["name"])),
            said("orderId", json!(["id", "order"])),
            said("tenant", json!(["by hand"])),
        ]
    );
    assert_eq!(plain["title"], "AliasesV1");
    let variant = schema("AliasesInAVariant");
    let variant = &variant["properties"]["Variant"]["properties"];
    assert_eq!(aliases(variant), [said("orderId", json!(["id"]))]);
    let payload = json!({"order": 1, "name": null, "plain": 1});
    assert_eq!(serde_json::from_value::<AliasesV1>(payload).unwrap().order_id, 1);
}

macro_rules! representations {
    ($($name:ident, $first:literal, $second:literal, $third:literal, $attribute:meta;)*) => {$(
        #[derive(Serialize, JsonSchema, OutboxEvent)]
        #[$attribute]
        #[outbox(topic = "schemas.enums", aggregate = "a", key = self.key(), schema)]
        enum $name<'a> {
            /// The first.
            #[outbox(event_type = $first)]
            FirstOne { id: u8, text: &'a str },
            #[outbox(event_type = $second)]
            #[serde(rename = "second")]
            Second(Line),
            #[outbox(event_type = $third)]
            Bare,
        }

        impl $name<'_> {
            fn key(&self) -> u8 {
                match self {
                    Self::FirstOne { id, .. } => *id,
                    _ => 1,
                }
            }

            fn all() -> [Self; 3] {
                let line = Line { sku: "s".into(), next: None };
                [Self::FirstOne { id: 1, text: "t" }, Self::Second(line), Self::Bare]
            }
        }
    )*};
}

representations! {
    External, "ExternalA", "ExternalB", "ExternalC", serde(rename_all = "snake_case");
    Internal, "InternalA", "InternalB", "InternalC", serde(tag = "kind");
    Adjacent, "AdjacentA", "AdjacentB", "AdjacentC", serde(tag = "kind", content = "data");
    Untagged, "UntaggedA", "UntaggedB", "UntaggedC", serde(untagged);
}

fn json_of(event: &impl OutboxEvent) -> Value {
    let Payload::Json(text) = event.payload().unwrap() else {
        panic!("not JSON")
    };
    serde_json::from_str(&text).unwrap()
}

/// In each of serde's representations, an event fits its own schema and not that of the others.
#[test]
fn a_variant_has_the_schema_of_its_own_payload() {
    fn check(events: &[impl OutboxEvent]) {
        for event in events {
            let payload = json_of(event);
            for other in events {
                let schema = schema(&other.event_type());
                let fits = jsonschema::is_valid(&schema, &payload);
                let same = event.event_type() == other.event_type();
                assert_eq!(fits, same, "{payload} and {schema:#}");
            }
            assert_eq!(schema(&event.event_type())["title"], event.event_type().as_ref());
        }
    }
    check(&External::all());
    check(&Internal::all());
    check(&Adjacent::all());
    check(&Untagged::all());
    assert_eq!(schema("InternalA")["description"], "The first.");
}

/// The enum has no `JsonSchema` itself, only what its variant holds.
#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "schemas.generic", aggregate = "a", key = id, instances(Generic<'static, Line>))]
enum Generic<'a, T: Clone + 'a>
where
    T: Serialize,
{
    #[outbox(schema)]
    GenericUp {
        id: u8,
        inner: T,
        more: std::borrow::Cow<'a, str>,
    },
    GenericDown {
        id: u8,
    },
}

#[derive(Serialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "schemas.named", aggregate = "a", key = id, schema,
    instances("OneV1" = Envelope<Line>, "TwoV1" = Envelope<u8>))]
struct Envelope<T> {
    id: u8,
    inner: T,
}

impl Clone for Line {
    fn clone(&self) -> Self {
        Self {
            sku: self.sku.clone(),
            next: None,
        }
    }
}

#[test]
fn a_form_has_the_schema_of_what_it_holds() {
    let up = schema("GenericUp");
    assert_eq!(
        up["properties"]["GenericUp"]["properties"]["inner"]["$ref"],
        "#/$defs/Line"
    );
    let down = Catalog::global().by_type("GenericDown").next().unwrap();
    assert_eq!(down.schema(), None);
    assert_eq!(schema("OneV1")["properties"]["inner"]["$ref"], "#/$defs/Line");
    assert_eq!(schema("TwoV1")["properties"]["inner"]["type"], "integer");
    let line = Line {
        sku: String::new(),
        next: None,
    };
    let _ = [
        Generic::GenericUp {
            id: 1,
            inner: line.clone(),
            more: "".into(),
        },
        Generic::GenericDown { id: 1 },
    ];
    let _ = Envelope { id: 1, inner: line };
}
