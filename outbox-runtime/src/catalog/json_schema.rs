//! The JSON Schema of a payload, through schemars.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

use super::{contracts, field_order, keywords};

/// A type that has a JSON Schema.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no JSON Schema",
    label = "`schema` needs a `JsonSchema` for `{Self}`",
    note = "add `schemars = \"1\"` to the crate and `#[derive(schemars::JsonSchema)]` to the type"
)]
pub trait PayloadSchema {
    #[doc(hidden)]
    fn payload_schema() -> Value;
}

#[diagnostic::do_not_recommend]
impl<T: JsonSchema> PayloadSchema for T {
    fn payload_schema() -> Value {
        let made = |settings: SchemaSettings| {
            Value::from(SchemaGenerator::new(settings).into_root_schema_for::<T>())
        };
        let written = made(SchemaSettings::draft2020_12().for_serialize());
        let read = made(SchemaSettings::draft2020_12().for_deserialize());
        let mut schema = contracts::joined(written.clone(), read.clone());
        field_order::note(&mut schema, &written, &read);
        schema
    }
}

/// The schema of a type.
pub fn of<T: PayloadSchema>() -> Value {
    T::payload_schema()
}

/// The schema of one variant's payload: `T` is an enum with nothing else in it.
pub fn of_variant<T: PayloadSchema>(event_type: &str) -> Value {
    let mut schema = of::<T>();
    if let Value::Object(root) = &mut schema {
        unwrap_only_choice(root);
        if let Some(Value::Object(read)) = root.get_mut(keywords::READ) {
            unwrap_only_choice(read);
        }
        root.insert("title".to_owned(), Value::from(event_type));
    }
    schema
}

/// The maker of a variant's schema. schemars reads serde's attributes from an enum that holds nothing but this variant, so
/// that tags, renames and flattening mean there what they mean in the payload.
#[doc(hidden)]
#[macro_export]
macro_rules! __variant_schema {
    ($event_type:literal, $payload:ty, $($item:tt)*) => {{
        #[allow(dead_code, reason = "only its schema is asked for")]
        #[derive($crate::__private::schemars::JsonSchema)]
        $($item)*
        fn make() -> $crate::__private::JsonValue {
            $crate::__private::json_schema::of_variant::<$payload>($event_type)
        }
        make
    }};
}

/// The schema of a type, with what the derive noted of serde's attributes in a struct that has the same names.
pub fn with_notes<T: PayloadSchema, Notes: PayloadSchema>() -> Value {
    let mut schema = of::<T>();
    contracts::annotate(&mut schema, &of::<Notes>());
    schema
}

/// The maker of the schema of a struct with attributes of serde's that schemars does not put into it.
#[doc(hidden)]
#[macro_export]
macro_rules! __noted_schema {
    ($payload:ty, $notes:ident, $($item:tt)*) => {{
        #[allow(dead_code, reason = "only its schema is asked for")]
        #[derive($crate::__private::schemars::JsonSchema)]
        $($item)*
        fn make() -> $crate::__private::JsonValue {
            $crate::__private::json_schema::with_notes::<$payload, $notes>()
        }
        make
    }};
}

/// `{"oneOf": [one]}` is `one`.
fn unwrap_only_choice(root: &mut Map<String, Value>) {
    for choice in ["oneOf", "anyOf"] {
        if let Some(Value::Array(choices)) = root.get_mut(choice)
            && let [Value::Object(only)] = choices.as_mut_slice()
        {
            let only = std::mem::take(only);
            root.remove(choice);
            root.extend(only);
        }
    }
}
