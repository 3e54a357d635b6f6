//! Values that a type writes.

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Map, Value, json};

use super::{Body, CONTENT, Program, Struct, TAG, Tagging, Type};

/// A random value of the event; `None` where it would be endless.
pub(in super::super) fn value(program: &Program, random: &mut SmallRng) -> Option<Value> {
    let event = program.types.first()?;
    Writer { program, random }.value(event, 12)
}

struct Writer<'a> {
    program: &'a Program,
    random: &'a mut SmallRng,
}

impl Writer<'_> {
    fn value(&mut self, of: &Type, deep: u8) -> Option<Value> {
        let deeper = deep.checked_sub(1)?;
        Some(match of {
            Type::Boolean => self.random.random::<bool>().into(),
            Type::Integer(width) => self.integer(width.range())?,
            Type::Float => [0.5, 1.0, -3.0, 1e30][self.random.random_range(0..4)].into(),
            Type::Text => ["", "A", "B", "a", "åäö"][self.random.random_range(0..5)].into(),
            Type::Character => ["A", "å"][self.random.random_range(0..2)].into(),
            Type::Uuid => "00000000-0000-4000-8000-000000000000".into(),
            Type::Option(of) => match self.random.random_range(0..3) {
                0 => Value::Null,
                _ => self.value(of, deeper).unwrap_or(Value::Null),
            },
            Type::List(of) => {
                let count = self.random.random_range(0..3);
                // Too deep for a value is not too deep for an empty list.
                Value::Array((0..count).map_while(|_| self.value(of, deeper)).collect())
            }
            Type::Tuple(of) => Value::Array(
                of.iter()
                    .map(|of| self.value(of, deeper))
                    .collect::<Option<_>>()?,
            ),
            Type::Map(of) => {
                let mut entries = Map::new();
                for key in ["a", "b", "c", "z"] {
                    if self.random.random_range(0..3) == 0
                        && let Some(value) = self.value(of, deeper)
                    {
                        entries.insert(key.to_owned(), value);
                    }
                }
                Value::Object(entries)
            }
            Type::Struct(of) => Value::Object(self.object(of, deeper)?),
            Type::Enum(_, variants) if variants.is_empty() => return None,
            Type::Enum(tagging, variants) => {
                let variant = &variants[self.random.random_range(0..variants.len())];
                self.variant(*tagging, variant.name, &variant.body, deeper)?
            }
            Type::Named(index) => self.value(self.program.types.get(*index)?, deeper)?,
        })
    }

    fn variant(&mut self, tagging: Tagging, name: &str, body: &Body, deep: u8) -> Option<Value> {
        let content = match body {
            Body::Unit => Value::Null,
            Body::Newtype(of) => self.value(of, deep)?,
            Body::Struct(of) => Value::Object(self.object(of, deep)?),
        };
        Some(match (tagging, body, content) {
            (Tagging::Untagged, _, content) => content,
            (Tagging::External, Body::Unit, _) => name.into(),
            (Tagging::External, _, content) => json!({name: content}),
            (Tagging::Internal, Body::Struct(_), Value::Object(mut entries)) => {
                entries.insert(TAG.to_owned(), name.into());
                Value::Object(entries)
            }
            (Tagging::Adjacent, Body::Newtype(_) | Body::Struct(_), content) => {
                json!({TAG: name, CONTENT: content})
            }
            _ => json!({TAG: name}),
        })
    }

    /// What is not required is now and then left out, as `skip_serializing_if` does.
    fn object(&mut self, of: &Struct, deep: u8) -> Option<Map<String, Value>> {
        let mut entries = Map::new();
        for field in &of.fields {
            if field.is_required() || self.random.random() {
                entries.insert(field.name.to_owned(), self.value(&field.of, deep)?);
            }
        }
        Some(entries)
    }

    fn integer(&mut self, (lower, upper): (i128, i128)) -> Option<Value> {
        let whole = match self.random.random_range(0..4) {
            0 => lower,
            1 => upper,
            _ => 1,
        };
        i64::try_from(whole)
            .map(Value::from)
            .or_else(|_| u64::try_from(whole).map(Value::from))
            .ok()
    }
}
