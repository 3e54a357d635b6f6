//! The JSON Schema of a payload, through schemars.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

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
        require_less(&mut written, &read);
        written
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

/// The schema is of what is written. A field is required only where a reader needs it too: serde takes an `Option` or a
/// `default` that is not there, and consumers have to know that such a field may go one day.
fn require_less(written: &mut Value, read: &Value) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
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
