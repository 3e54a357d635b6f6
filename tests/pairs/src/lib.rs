//! What the drawn types are made of.
#![allow(clippy::missing_errors_doc, reason = "functions for serde's attributes")]

use std::fmt::Display;
use std::str::FromStr;

use schemars::generate::{Contract, SchemaGenerator};
use schemars::{JsonSchema, Schema, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// Written as text, read from text and from numbers, and described as schemars describes `rust_decimal`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decimal(pub f64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(from)? {
            serde_json::Value::Number(number) => number.as_f64().map(Self),
            serde_json::Value::String(text) => text.parse().ok().map(Self),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("no decimal number"))
    }
}

impl JsonSchema for Decimal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        match generator.contract() {
            Contract::Deserialize => {
                json_schema!({"type": ["string", "number"], "pattern": r"^-?\d+(\.\d+)?([eE]\d+)?$"})
            }
            _ => json_schema!({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}),
        }
    }
}

/// A newtype, which has a definition of its own.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Id<T>(pub T);

/// A newtype that schemars looks through.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Clear<T>(pub T);

/// A value that may be null, and not an `Option`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Maybe(pub Option<u8>);

/// What [`as_text`] and [`from_text`] write and read of a type.
pub fn text_of<T>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": std::any::type_name::<T>()})
}

/// For `serialize_with`.
pub fn as_text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// For `deserialize_with`.
pub fn from_text<'de, T: FromStr, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom("not what is wanted"))
}

/// For `deserialize_with`: null stands for the default.
pub fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// For `skip_serializing_if`.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
