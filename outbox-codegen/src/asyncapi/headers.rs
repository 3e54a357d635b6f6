//! The Kafka headers of a record, as the relay sends them.

use outbox_runtime::catalog::{EventDescription, FieldSource};
use serde_json::{Map, Value, json};

pub(super) const CORRELATION: &str = "ce_correlationid";

/// The headers' schema.
pub(super) fn schema(event: &EventDescription) -> Value {
    let mut required = vec!["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"];
    let source = match &event.source {
        Some(source) => json!({"type": "string", "const": source, "description": "The service."}),
        None => json!({"type": "string", "description": "The service, as its relay is told."}),
    };
    let mut properties = Map::from_iter([
        entry(
            "ce_specversion",
            json!({"type": "string", "const": "1.0", "description": "CloudEvents."}),
        ),
        entry(
            "ce_id",
            json!({
                "type": "string", "format": "uuid",
                "description": "The event's id; a record that is sent again has the same one.",
            }),
        ),
        entry("ce_source", source),
        entry("ce_type", json!({"type": "string", "const": event.event_type})),
        entry(
            "content-type",
            json!({"type": "string", "const": event.content_type}),
        ),
        entry(
            CORRELATION,
            json!({"type": "string", "description": "Where there is a correlation id."}),
        ),
        entry(
            "traceparent",
            json!({"type": "string", "description": "W3C Trace Context, where there is a trace."}),
        ),
        entry(
            "tracestate",
            json!({"type": "string", "description": "W3C Trace Context, where there is a trace."}),
        ),
    ]);
    for header in &event.headers {
        let value = match &header.value {
            FieldSource::Literal(text) => {
                required.push(&header.name);
                json!({"type": "string", "const": text})
            }
            FieldSource::Field(field) => {
                json!({"type": "string", "description": format!("`{field}` of the event.")})
            }
        };
        properties.insert(header.name.clone(), value);
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// Headers of that schema.
pub(super) fn example(event: &EventDescription) -> Value {
    let mut headers = Map::from_iter([
        entry("ce_specversion", "1.0".into()),
        entry("ce_id", "0197a9f0-6d3c-7b1e-8f52-3c9d5e7a1b42".into()),
        entry("ce_source", event.source.as_deref().unwrap_or("/database").into()),
        entry("ce_type", event.event_type.as_str().into()),
        entry("content-type", event.content_type.as_str().into()),
    ]);
    for header in &event.headers {
        if let FieldSource::Literal(text) = &header.value {
            headers.insert(header.name.clone(), text.as_str().into());
        }
    }
    Value::Object(headers)
}

fn entry(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}
