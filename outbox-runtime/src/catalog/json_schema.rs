//! The JSON Schema of a payload, through schemars.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

use super::field_order;

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
        let mut written = made(SchemaSettings::draft2020_12().for_serialize());
        let read = made(SchemaSettings::draft2020_12().for_deserialize());
        let declared = written.clone();
        require_less(&mut written, &read);
        field_order::note(&mut written, &declared, &read);
        written
    }
}

/// The names under which a field is read beside its own.
pub(super) const ALIASES: &str = "x-serde-alias";
/// The fields that readers need and writers may leave out.
pub(super) const DEMANDED: &str = "x-serde-required";

/// The schema of a type.
pub fn of<T: PayloadSchema>() -> Value {
    T::payload_schema()
}

/// The schema of one variant's payload: `T` is an enum with nothing else in it.
pub fn of_variant<T: PayloadSchema>(event_type: &str) -> Value {
    let mut schema = of::<T>();
    if let Value::Object(root) = &mut schema {
        unwrap_only_choice(root);
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

/// The schema of a type, with the names of a struct that has its fields' aliases.
pub fn with_aliases<T: PayloadSchema, Names: PayloadSchema>() -> Value {
    let (mut schema, names) = (of::<T>(), of::<Names>());
    let named = names.get("properties").and_then(Value::as_object);
    for (name, named) in named.into_iter().flatten() {
        let field = schema
            .pointer_mut("/properties")
            .and_then(|fields| fields.get_mut(name));
        if let (Some(field), Some(aliases)) = (field, named.get(ALIASES)) {
            if *field == Value::Bool(true) {
                *field = Value::Object(Map::new());
            }
            if let Value::Object(field) = field {
                field.entry(ALIASES).or_insert_with(|| aliases.clone());
            }
        }
    }
    schema
}

/// The maker of the schema of a struct some fields of which have aliases.
#[doc(hidden)]
#[macro_export]
macro_rules! __aliased_schema {
    ($payload:ty, $names:ident, $($item:tt)*) => {{
        #[allow(dead_code, reason = "only its schema is asked for")]
        #[derive($crate::__private::schemars::JsonSchema)]
        $($item)*
        fn make() -> $crate::__private::JsonValue {
            $crate::__private::json_schema::with_aliases::<$payload, $names>()
        }
        make
    }};
}

/// The schema is of what is written. A field is required only where a reader needs it too: serde takes an `Option` or a
/// `default` that is not there, and consumers have to know that such a field may go one day. What only readers need
/// (`skip_serializing_if` without a default) is told beside it, for whoever compares two versions.
fn require_less(written: &mut Value, read: &Value) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            let demanded = demanded(written, read);
            if !demanded.is_empty() {
                written.insert(DEMANDED.to_owned(), demanded.into());
            }
            if let Some(Value::Array(required)) = written.get_mut("required") {
                let needed = read.get("required").and_then(Value::as_array);
                required.retain(|name| needed.is_some_and(|needed| needed.contains(name)));
                if required.is_empty() {
                    written.remove("required");
                }
            }
            for (name, value) in written {
                if let Some(read) = read.get(name) {
                    require_less(value, read);
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            written
                .iter_mut()
                .zip(read)
                .for_each(|(written, read)| require_less(written, read));
        }
        _ => {}
    }
}

/// The fields that readers need and writers may leave out.
fn demanded(written: &Map<String, Value>, read: &Map<String, Value>) -> Vec<Value> {
    let properties = written.get("properties").and_then(Value::as_object);
    let always = written.get("required").and_then(Value::as_array);
    let needed = read.get("required").and_then(Value::as_array);
    let needed = needed.into_iter().flatten().filter(|name| {
        let known = name.as_str().zip(properties);
        known.is_some_and(|(name, properties)| properties.contains_key(name))
            && !always.is_some_and(|always| always.contains(name))
    });
    needed.cloned().collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_required_where_both_sides_say_so() {
        let schema = |required: &[&str]| {
            let inner = json!({"required": required, "properties": {"required": {"type": "array"}}});
            json!({"$defs": {"Inner": inner}, "oneOf": [inner]})
        };
        let mut written = schema(&["a", "b"]);
        require_less(&mut written, &schema(&["b", "c"]));
        assert_eq!(written, schema(&["b"]));
        require_less(&mut written, &json!({"$defs": {"Inner": {}}, "oneOf": [{}]}));
        let without = json!({"properties": {"required": {"type": "array"}}});
        assert_eq!(written, json!({"$defs": {"Inner": without}, "oneOf": [without]}));
    }
}
