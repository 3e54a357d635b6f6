//! Whether serde reads a value into a type.

use serde_json::{Map, Value};

use super::{Body, CONTENT, Program, Struct, TAG, Tagging, Type, Variant};

/// Whether the event reads the value.
pub(in super::super) fn reads(program: &Program, value: &Value) -> bool {
    program
        .types
        .first()
        .is_some_and(|event| decodes(program, event, value))
}

fn decodes(program: &Program, of: &Type, value: &Value) -> bool {
    let each = |of: &Type, value: &Value| decodes(program, of, value);
    match (of, value) {
        (Type::Boolean, value) => value.is_boolean(),
        (Type::Integer(width), Value::Number(number)) => {
            let whole = number
                .as_i64()
                .map(i128::from)
                .or_else(|| number.as_u64().map(i128::from));
            let (lower, upper) = width.range();
            whole.is_some_and(|whole| (lower..=upper).contains(&whole))
        }
        (Type::Float, value) => value.is_number(),
        (Type::Text, value) => value.is_string(),
        (Type::Character, Value::String(text)) => text.chars().count() == 1,
        (Type::Uuid, Value::String(text)) => uuid::Uuid::parse_str(text).is_ok(),
        (Type::Option(_), Value::Null) => true,
        (Type::Option(of), value) => each(of, value),
        (Type::List(of), Value::Array(values)) => values.iter().all(|value| each(of, value)),
        (Type::Tuple(of), Value::Array(values)) => {
            of.len() == values.len() && of.iter().zip(values).all(|(of, value)| each(of, value))
        }
        (Type::Map(of), Value::Object(entries)) => entries.values().all(|value| each(of, value)),
        (Type::Struct(of), Value::Object(entries)) => object(program, of, entries, None),
        (Type::Enum(tagging, variants), value) => variants.iter().any(|variant| {
            let Variant { name, body } = variant;
            match (tagging, value) {
                (Tagging::Untagged, value) => content(program, body, value),
                (Tagging::External, Value::String(text)) => text == name && *body == Body::Unit,
                (Tagging::External, Value::Object(entries)) => {
                    entries.len() == 1
                        && entries
                            .get(*name)
                            .is_some_and(|value| content(program, body, value))
                }
                (Tagging::Internal, Value::Object(entries))
                    if entries.get(TAG) == Some(&Value::from(*name)) =>
                {
                    match body {
                        Body::Struct(of) => object(program, of, entries, Some(TAG)),
                        _ => true,
                    }
                }
                (Tagging::Adjacent, Value::Object(entries))
                    if entries.get(TAG) == Some(&Value::from(*name)) =>
                {
                    match (body, entries.get(CONTENT)) {
                        (Body::Unit, there) => there.is_none_or(Value::is_null),
                        (body, there) => there.is_some_and(|value| content(program, body, value)),
                    }
                }
                _ => false,
            }
        }),
        (Type::Named(index), value) => program.types.get(*index).is_some_and(|of| each(of, value)),
        _ => false,
    }
}

fn content(program: &Program, body: &Body, value: &Value) -> bool {
    match (body, value) {
        (Body::Unit, value) => value.is_null(),
        (Body::Newtype(of), value) => decodes(program, of, value),
        (Body::Struct(of), Value::Object(entries)) => object(program, of, entries, None),
        _ => false,
    }
}

fn object(program: &Program, of: &Struct, entries: &Map<String, Value>, tag: Option<&str>) -> bool {
    let known = |name: &str| tag == Some(name) || of.fields.iter().any(|field| field.name == name);
    let read = of.fields.iter().all(|field| match entries.get(field.name) {
        Some(value) => decodes(program, &field.of, value),
        None => !field.is_required(),
    });
    read && (!of.strict || entries.keys().all(|name| known(name)))
}
