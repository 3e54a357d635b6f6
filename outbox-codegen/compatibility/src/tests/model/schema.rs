//! What schemars makes of a type.

use serde_json::{Map, Value, json};

use super::{Body, CONTENT, Program, Struct, TAG, Tagging, Type, Variant, Width};

/// The root schema of the event.
pub(in super::super) fn schema(program: &Program) -> Value {
    let of = Schemas {
        prefix: program.prefix,
    };
    let mut types = program.types.iter().enumerate();
    let mut root = types.next().map_or(json!(true), |(_, event)| of.schema(event));
    let definitions: Map<String, Value> = types
        .map(|(index, named)| (format!("{}{index}", program.prefix), of.schema(named)))
        .collect();
    if let Some(root) = root.as_object_mut() {
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

struct Schemas {
    prefix: &'static str,
}

impl Schemas {
    fn schema(&self, of: &Type) -> Value {
        match of {
            Type::Boolean => json!({"type": "boolean"}),
            Type::Integer(width) => integer(*width),
            Type::Float => json!({"type": "number", "format": "double"}),
            Type::Text => json!({"type": "string"}),
            Type::Character => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Type::Uuid => json!({"type": "string", "format": "uuid"}),
            Type::Option(of) => optional(self.schema(of)),
            Type::List(of) => json!({"type": "array", "items": self.schema(of)}),
            Type::Tuple(of) => {
                let first: Vec<Value> = of.iter().map(|of| self.schema(of)).collect();
                json!({"type": "array", "prefixItems": first, "minItems": of.len(), "maxItems": of.len()})
            }
            Type::Map(of) => json!({"type": "object", "additionalProperties": self.schema(of)}),
            Type::Struct(of) => self.object(of, None),
            Type::Enum(Tagging::Untagged, variants) => {
                let any: Vec<Value> = variants.iter().map(|variant| self.body(&variant.body)).collect();
                json!({"anyOf": any})
            }
            Type::Enum(tagging, variants) => {
                let one: Vec<Value> = variants
                    .iter()
                    .map(|variant| self.variant(*tagging, variant))
                    .collect();
                json!({"oneOf": one})
            }
            Type::Named(0) => json!({"$ref": "#"}),
            Type::Named(index) => json!({"$ref": format!("#/$defs/{}{index}", self.prefix)}),
        }
    }

    fn body(&self, body: &Body) -> Value {
        match body {
            Body::Unit => json!({"type": "null"}),
            Body::Newtype(of) => self.schema(of),
            Body::Struct(of) => self.object(of, None),
        }
    }

    fn variant(&self, tagging: Tagging, Variant { name, body }: &Variant) -> Value {
        let tag = json!({"type": "string", "const": name});
        match (tagging, body) {
            (Tagging::External, Body::Unit) => json!({"type": "string", "const": name}),
            (Tagging::External, body) => json!({
                "type": "object", "properties": {*name: self.body(body)}, "required": [name],
                "additionalProperties": false,
            }),
            (Tagging::Internal, Body::Struct(of)) => self.object(of, Some(tag)),
            (Tagging::Adjacent, Body::Newtype(_) | Body::Struct(_)) => json!({
                "type": "object", "properties": {TAG: tag, CONTENT: self.body(body)}, "required": [TAG, CONTENT],
            }),
            _ => json!({"type": "object", "properties": {TAG: tag}, "required": [TAG]}),
        }
    }

    fn object(&self, of: &Struct, tag: Option<Value>) -> Value {
        let mut properties = Map::new();
        let mut required: Vec<&str> = Vec::new();
        if let Some(tag) = tag {
            properties.insert(TAG.to_owned(), tag);
            required.push(TAG);
        }
        for field in &of.fields {
            properties.insert(field.name.to_owned(), self.schema(&field.of));
            if field.is_required() {
                required.push(field.name);
            }
        }
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        if of.strict {
            schema["additionalProperties"] = false.into();
        }
        schema
    }
}

fn integer(width: Width) -> Value {
    match width {
        Width::U8 => json!({"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}),
        Width::U32 => json!({"type": "integer", "format": "uint32", "minimum": 0}),
        Width::U64 => json!({"type": "integer", "format": "uint64", "minimum": 0}),
        Width::I8 => json!({"type": "integer", "format": "int8", "minimum": -128, "maximum": 127}),
        Width::I32 => json!({"type": "integer", "format": "int32"}),
        Width::I64 => json!({"type": "integer", "format": "int64"}),
    }
}

/// The type gets a second name where it has one, and an alternative where it has none.
fn optional(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(name)) if schema.get("const").is_none() => {
            if name != "null" {
                schema["type"] = json!([name, "null"]);
            }
            schema
        }
        Some(Value::Array(_)) => schema,
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}
