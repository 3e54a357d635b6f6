//! The headers of a Kafka record, in the order that consumers may rely on.

use std::fmt;
use std::sync::Once;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::OutboxRecord;

/// Headers that a relay adds to every record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireOptions {
    /// `ce_source` of records without a source, such as `/orders`.
    pub default_source: String,
    /// Also send `ce_time` (RFC 3339) and `ce_subject` (the key). Each header costs throughput, and the
    /// record's timestamp and key already carry both.
    pub time_and_subject: bool,
}

/// A row's `headers` are not a JSON object.
#[derive(Debug, thiserror::Error)]
#[error("its headers are not a JSON object of names and strings: {0}")]
pub struct InvalidHeaders(serde_json::Error);

/// Headers that come before all others that a row carries, when it carries them.
const CONTEXT: [&str; 3] = ["ce_correlationid", "traceparent", "tracestate"];

/// What the relay writes from a row's columns; `ce_datacontenttype` is `content-type` by another name.
const FROM_COLUMNS: [&str; 6] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "content-type",
    "ce_datacontenttype",
];
/// What it writes on request.
const ON_REQUEST: [&str; 2] = ["ce_time", "ce_subject"];

impl WireOptions {
    /// Calls `add` with each header of `record`, in order; a `None` is a header without a value.
    ///
    /// No name comes twice. What is written from a row's columns counts: the same name in the row's own headers, in
    /// upper or lower case, is left out. Where a row's headers repeat a name themselves, the last one counts, as in
    /// PostgreSQL's `jsonb`.
    ///
    /// # Errors
    /// The row's own headers cannot be read; `add` may have been called for the others.
    pub fn headers<'a>(
        &'a self,
        record: &OutboxRecord<'a>,
        mut add: impl FnMut(&str, Option<&[u8]>),
    ) -> Result<(), InvalidHeaders> {
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        add("ce_specversion", Some(b"1.0"));
        add(
            "ce_id",
            Some(record.id.hyphenated().encode_lower(&mut id).as_bytes()),
        );
        add(
            "ce_source",
            Some(record.source.unwrap_or(&self.default_source).as_bytes()),
        );
        add("ce_type", Some(record.event_type.as_bytes()));
        add("content-type", Some(record.content_type.as_bytes()));
        if self.time_and_subject {
            if let Some(time) = chrono::DateTime::from_timestamp_millis(record.occurred_at_ms) {
                let time = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
                add("ce_time", Some(time.as_bytes()));
            }
            add("ce_subject", Some(record.key.as_bytes()));
        }
        if record.headers == "{}" {
            return Ok(());
        }
        let mut own = own_headers(record.headers).map_err(InvalidHeaders)?;
        own.retain(|(name, _)| !self.writes(name));
        for name in CONTEXT {
            for (_, value) in own.iter().filter(|(own, _)| own == name) {
                add(name, value.as_ref().map(|value| value.as_bytes()));
            }
        }
        for (name, value) in own.iter().filter(|(name, _)| !CONTEXT.contains(&name.as_str())) {
            add(name, value.as_ref().map(|value| value.as_bytes()));
        }
        Ok(())
    }
}

impl WireOptions {
    /// Whether a header of this name is written from the row's columns.
    fn writes(&self, name: &str) -> bool {
        let requested = ON_REQUEST.iter().filter(|_| self.time_and_subject);
        let written = FROM_COLUMNS
            .iter()
            .chain(requested)
            .any(|ours| ours.eq_ignore_ascii_case(name));
        if written {
            static LOGGED: Once = Once::new();
            LOGGED.call_once(|| {
                tracing::warn!(
                    header = name,
                    "a row's `headers` contain a header that is written from its columns; the value in `headers` is not sent"
                );
            });
        }
        written
    }
}

type Headers = Vec<(String, Option<String>)>;

/// A row's headers in stored order. A value that somebody's SQL left as a number or an object is sent as its
/// JSON text: a header that reads oddly is better than an event that is not delivered.
fn own_headers(json: &str) -> Result<Headers, serde_json::Error> {
    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Headers;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a JSON object of header names and strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs: Headers = Vec::with_capacity(4);
            while let Some((name, value)) = map.next_entry::<String, Value>()? {
                if name.contains('\0') {
                    return Err(serde::de::Error::custom("a header's name holds a NUL"));
                }
                let value = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text),
                    other => Some(other.to_string()),
                };
                match pairs.iter_mut().find(|(earlier, _)| *earlier == name) {
                    Some((_, earlier)) => *earlier = value,
                    None => pairs.push((name, value)),
                }
            }
            Ok(pairs)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(json);
    let pairs = deserializer.deserialize_map(Pairs)?;
    deserializer.end()?;
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn sent(record: &OutboxRecord<'_>, options: &WireOptions) -> Vec<(String, Option<String>)> {
        let mut headers = Vec::new();
        options
            .headers(record, |name, value| {
                headers.push((
                    name.to_owned(),
                    value.map(|v| String::from_utf8(v.to_vec()).unwrap()),
                ));
            })
            .unwrap();
        headers
    }

    fn record(headers: &str) -> OutboxRecord<'_> {
        OutboxRecord {
            seq: 1,
            id: Uuid::from_u128(0xAB),
            topic: "t",
            key: "key-1",
            event_type: "OrderPlacedV1",
            content_type: "application/json",
            source: None,
            headers,
            payload: None,
            occurred_at_ms: 1_700_000_000_123,
        }
    }

    fn options() -> WireOptions {
        WireOptions {
            default_source: "/shop".into(),
            time_and_subject: false,
        }
    }

    #[test]
    fn context_comes_before_what_the_event_declares() {
        let json = r#"{"x-a":"1","traceparent":"00-x","ce_correlationid":"c"}"#;
        let names: Vec<_> = sent(&record(json), &options())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                "ce_specversion",
                "ce_id",
                "ce_source",
                "ce_type",
                "content-type",
                "ce_correlationid",
                "traceparent",
                "x-a"
            ]
        );
    }

    #[test]
    fn values_are_the_rows() {
        let headers = sent(&record("{}"), &options());
        let value = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name == wanted)
                .unwrap()
                .1
                .clone()
                .unwrap()
        };
        assert_eq!(value("ce_id"), "00000000-0000-0000-0000-0000000000ab");
        assert_eq!(value("ce_source"), "/shop");
        assert_eq!(value("ce_type"), "OrderPlacedV1");
        let own = OutboxRecord {
            source: Some("/own"),
            ..record("{}")
        };
        assert_eq!(sent(&own, &options())[2].1.as_deref(), Some("/own"));
    }

    #[test]
    fn time_and_subject_come_on_request() {
        let headers = sent(
            &record("{}"),
            &WireOptions {
                time_and_subject: true,
                ..options()
            },
        );
        assert!(headers.contains(&("ce_time".into(), Some("2023-11-14T22:13:20.123Z".into()))));
        assert!(headers.contains(&("ce_subject".into(), Some("key-1".into()))));
    }

    #[test]
    fn odd_values_of_raw_sql_are_sent_as_text() {
        let headers = sent(
            &record(r#"{ "n": 1, "none": null, "o": {"a": [true]}, "\u00f6": "ü" }"#),
            &options(),
        );
        assert_eq!(
            headers[5..],
            [
                ("n".into(), Some("1".into())),
                ("none".into(), None),
                ("o".into(), Some(r#"{"a":[true]}"#.into())),
                ("ö".into(), Some("ü".into()))
            ]
        );
    }

    #[test]
    fn no_name_comes_twice_and_the_columns_count() {
        let json = r#"{"ce_id":"x","CE_Type":"x","ce_source":null,"ce_specversion":"0.3","Content-Type":"x",
            "ce_datacontenttype":"x","ce_time":"t","ce_tenant":"acme","x-a":"1","x-a":"2","ce_correlationid":"a","ce_correlationid":"b"}"#;
        let mut headers = sent(&record(json), &options());
        assert_eq!(headers[..5], sent(&record("{}"), &options())[..]);
        let own = headers.split_off(5);
        let pairs: Vec<_> = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()))
            .collect();
        let expected = [
            ("ce_correlationid", "b"),
            ("ce_time", "t"),
            ("ce_tenant", "acme"),
            ("x-a", "2"),
        ];
        assert_eq!(pairs, expected);
        let on_request = WireOptions {
            time_and_subject: true,
            ..options()
        };
        let times: Vec<_> = sent(&record(json), &on_request)
            .into_iter()
            .filter(|(name, _)| name == "ce_time")
            .collect();
        assert_eq!(
            times,
            [("ce_time".into(), Some("2023-11-14T22:13:20.123Z".into()))]
        );
    }

    #[test]
    fn headers_that_are_no_object_are_an_error() {
        for bad in ["[]", "\"x\"", "{", "{} x"] {
            assert!(
                options().headers(&record(bad), |_, _| {}).is_err(),
                "{bad} was accepted"
            );
        }
    }
}
