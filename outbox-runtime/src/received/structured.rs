//! CloudEvents in structured mode: the value is a JSON object with the attributes and the data.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::message::InboxMessage;

const STRUCTURED: &str = "application/cloudevents+json";
const CONTENT_TYPE: &str = "content-type";

/// The same event in binary mode: attributes are headers, and the data is the value. A message that is no structured
/// CloudEvent, or a broken one, is returned as it is.
pub(super) fn to_binary_mode(message: InboxMessage) -> InboxMessage {
    match message.header(CONTENT_TYPE).map(media_type) {
        Some(kind) if kind.eq_ignore_ascii_case(STRUCTURED) => read(&message).unwrap_or(message),
        _ => message,
    }
}

/// Without parameters, such as `; charset=utf-8`.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn read(message: &InboxMessage) -> Option<InboxMessage> {
    let mut fields: BTreeMap<String, Box<RawValue>> = message.json().ok()?;
    let (data, base64) = (fields.remove("data"), fields.remove("data_base64"));
    let attributes: Vec<(String, String)> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, text(&value)?)))
        .collect();
    let attribute = |wanted: &str| {
        let (_, value) = attributes.iter().find(|(name, _)| name == wanted)?;
        Some(value.as_str())
    };
    let data_type = attribute("datacontenttype").unwrap_or("application/json");
    let value = match (data, base64) {
        (Some(data), _) => Some(data_bytes(&data, data_type)),
        (None, Some(encoded)) => Some(STANDARD.decode(text(&encoded)?).ok()?),
        (None, None) => None,
    };
    let own = |name: &str| name.eq_ignore_ascii_case(CONTENT_TYPE) || name.starts_with("ce_");
    let others = message.headers.iter().filter(|(name, _)| !own(name));
    let mut headers: Vec<_> = others.cloned().collect();
    headers.push((CONTENT_TYPE.to_owned(), Some(data_type.into())));
    for name in ["traceparent", "tracestate"] {
        if let (None, Some(value)) = (message.header(name), attribute(name)) {
            headers.push((name.to_owned(), Some(value.into())));
        }
    }
    let attributes = attributes.iter().filter(|(name, _)| name != "datacontenttype");
    headers.extend(attributes.map(|(name, value)| (format!("ce_{name}"), Some(value.as_bytes().to_vec()))));
    Some(InboxMessage {
        value,
        headers,
        ..message.clone()
    })
}

/// An attribute's text; none for `null`, and for what no attribute can be.
fn text(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.get().to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Data of another type than JSON is a string, whose content counts.
fn data_bytes(data: &RawValue, data_type: &str) -> Vec<u8> {
    let kind = media_type(data_type);
    let is_json = kind.ends_with("/json") || kind.ends_with("+json");
    match serde_json::from_str(data.get()) {
        Ok(Value::String(text)) if !is_json => text.into_bytes(),
        _ => data.get().as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::identity::Identified as _;

    fn structured(value: &str) -> InboxMessage {
        let message = InboxMessage::new("orders", 0, 1)
            .with_header("content-type", "application/cloudevents+json; charset=UTF-8")
            .with_header("tenant", "blue")
            .with_value(value);
        to_binary_mode(message)
    }

    #[test]
    fn attributes_become_headers_and_data_the_value() {
        let message = structured(
            r#"{"specversion": "1.0", "id": "17", "source": "/shop", "type": "OrderPlacedV1", "sequence": 3,
                "traceparent": "00-a-b-01", "subject": null, "data": {"total": 1.50}}"#,
        );
        assert_eq!(message.event_type(), Some("OrderPlacedV1"));
        assert_eq!(message.message_id(), "/shop 17");
        assert_eq!(message.value(), Some(&br#"{"total": 1.50}"#[..]));
        assert_eq!(message.header("content-type"), Some("application/json"));
        assert_eq!(message.header("ce_sequence"), Some("3"));
        assert_eq!(message.header("traceparent"), Some("00-a-b-01"));
        assert_eq!(message.header("tenant"), Some("blue"));
        assert_eq!(message.header("ce_subject"), None);
    }

    #[test]
    fn data_may_be_text_bytes_or_absent() {
        let text = structured(r#"{"type": "T", "datacontenttype": "text/plain", "data": "a\nb"}"#);
        assert_eq!(text.value(), Some(&b"a\nb"[..]));
        assert_eq!(text.header("content-type"), Some("text/plain"));
        let json = structured(r#"{"type": "T", "data": "a"}"#);
        assert_eq!(json.value(), Some(&br#""a""#[..]));
        let bytes = structured(r#"{"type": "T", "datacontenttype": "image/png", "data_base64": "/wA="}"#);
        assert_eq!(bytes.value(), Some(&[0xff, 0][..]));
        assert_eq!(structured(r#"{"type": "T"}"#).value(), None);
    }

    #[test]
    fn what_is_broken_or_something_else_is_left_alone() {
        for value in ["", "{", "[]", r#"{"type": "T", "data_base64": "!"}"#] {
            let message = structured(value);
            assert_eq!(message.value(), Some(value.as_bytes()), "{value}");
            assert_eq!(message.event_type(), None);
        }
        let binary = InboxMessage::new("orders", 0, 1)
            .with_header("content-type", "application/json")
            .with_value(r#"{"type": "T"}"#);
        assert_eq!(to_binary_mode(binary.clone()), binary);
    }
}
