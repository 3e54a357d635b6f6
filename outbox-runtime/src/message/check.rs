//! What is refused at emit, because the database or Kafka would refuse it later.

use chrono::Timelike;

use super::{CORRELATION_ID, OutboxMessage};
use crate::error::{Error, ErrorKind};
use crate::event::{Payload, json, topic};
use crate::record::rules;
use crate::record::size::HeaderSizes;

/// The longest key. A key names something: it is compared, hashed and indexed, also by consumers and their databases, where
/// an entry of an index has about 2,700 bytes.
const MAX_KEY_BYTES: usize = 1_024;

/// What an outbox takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_payload_bytes: usize,
    pub(crate) max_record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // librdkafka's own default for `message.max.bytes`.
            max_payload_bytes: 1_000_000,
            // Kafka's default for a topic's `max.message.bytes`.
            max_record_bytes: 1_048_588,
        }
    }
}

/// Room for the source that a relay gives to events without one: `/` and a database's name.
const RELAYS_SOURCE: usize = 64;

/// What comes with each event, with the longest value that it can have.
const FIXED_HEADERS: [(&str, usize); 3] = [("ce_specversion", 3), ("ce_id", 36), ("ce_time", 24)];

impl Limits {
    /// Whether `message` can be stored and sent.
    pub(crate) fn check(&self, message: &OutboxMessage) -> Result<(), Error> {
        check_texts(message)?;
        check_topic(message)?;
        check_content_type(message)?;
        check_headers(message)?;
        check_time(message)?;
        self.check_record(message)?;
        self.check_payload(message)
    }

    /// The record as large as a relay may make it: key, value, headers and all that Kafka writes around them.
    fn check_record(&self, message: &OutboxMessage) -> Result<(), Error> {
        let payload = message.payload.len();
        if payload > self.max_payload_bytes {
            return Ok(());
        }
        let (bytes, limit) = (record_size(message), self.max_record_bytes);
        if bytes <= limit {
            return Ok(());
        }
        let says = format!(
            "would be a record of up to {bytes} bytes, more than the limit of {limit} bytes: {payload} of the payload, \
             {} of the key (which is also sent as `ce_subject` where a relay is configured to), the rest of headers; make \
             it smaller, or raise `max.message.bytes` of its topic and `OutboxBuilder::max_record_bytes`",
            message.key.len()
        );
        Err(refusal(
            message,
            ErrorKind::RecordTooLarge { bytes, limit },
            &says,
        ))
    }

    fn check_payload(&self, message: &OutboxMessage) -> Result<(), Error> {
        let (bytes, limit) = (message.payload.len(), self.max_payload_bytes);
        if bytes > limit {
            let says = format!("has a payload of {bytes} bytes, more than the limit of {limit} bytes");
            return Err(refusal(
                message,
                ErrorKind::PayloadTooLarge { bytes, limit },
                &says,
            ));
        }
        match &message.payload {
            Payload::Json(text) => match json::fault(text) {
                Some(says) => Err(refusal(message, ErrorKind::Payload, &says)),
                None => Ok(()),
            },
            Payload::Binary(_) | Payload::Tombstone => Ok(()),
        }
    }
}

fn record_size(message: &OutboxMessage) -> usize {
    let mut headers = HeaderSizes::default();
    let source = message.source.as_ref().map_or(RELAYS_SOURCE, String::len);
    let from_columns = [
        ("ce_source", source),
        ("ce_type", message.event_type.len()),
        ("content-type", message.content_type.len()),
        ("ce_subject", message.key.len()),
    ];
    for (name, value) in FIXED_HEADERS.into_iter().chain(from_columns) {
        headers.add(name.len(), Some(value));
    }
    for (name, value) in &message.headers {
        headers.add(name.len(), Some(value.len()));
    }
    let value = match &message.payload {
        Payload::Tombstone => None,
        payload => Some(payload.len()),
    };
    headers.alone(message.key.len(), value)
}

fn check_content_type(message: &OutboxMessage) -> Result<(), Error> {
    if !rules::is_structured(&message.content_type) {
        return Ok(());
    }
    let says = format!(
        "has the content type {:?}: {}",
        message.content_type,
        rules::STRUCTURED
    );
    Err(refusal(message, ErrorKind::InvalidContentType, &says))
}

fn check_texts(message: &OutboxMessage) -> Result<(), Error> {
    if message.key.is_empty() {
        return Err(refusal(message, ErrorKind::EmptyKey, "has an empty key"));
    }
    if message.key.len() > MAX_KEY_BYTES {
        let (bytes, limit) = (message.key.len(), MAX_KEY_BYTES);
        let says = format!(
            "has a key of {bytes} bytes, more than the limit of {limit} bytes: take an id or a hash as the key, and put \
             the rest into the payload"
        );
        return Err(refusal(message, ErrorKind::KeyTooLong { bytes, limit }, &says));
    }
    let columns = [
        ("event type", Some(&message.event_type)),
        ("key", Some(&message.key)),
        ("aggregate type", Some(&message.aggregate_type)),
        ("content type", Some(&message.content_type)),
        ("source", message.source.as_ref()),
    ];
    for (name, text) in columns {
        let Some(text) = text else { continue };
        if text.is_empty() {
            return Err(refusal(
                message,
                ErrorKind::InvalidText,
                &format!("has an empty {name}"),
            ));
        }
        if text.contains('\0') {
            let says = format!("has a {name} that holds a NUL character, which PostgreSQL cannot store");
            return Err(refusal(message, ErrorKind::InvalidText, &says));
        }
    }
    Ok(())
}

fn check_topic(message: &OutboxMessage) -> Result<(), Error> {
    match topic::fault(&message.topic) {
        None => Ok(()),
        Some(fault) => {
            let says = format!(
                "goes to the topic {:?}, which Kafka refuses: {fault}",
                message.topic
            );
            Err(refusal(message, ErrorKind::InvalidTopic, &says))
        }
    }
}

fn check_headers(message: &OutboxMessage) -> Result<(), Error> {
    let fault = |says: String| Err(refusal(message, ErrorKind::InvalidHeader, &says));
    for (position, (name, value)) in message.headers.iter().enumerate() {
        if name.is_empty() {
            return fault("has a header without a name".to_owned());
        }
        if name.contains('\0') || value.contains('\0') {
            return fault(format!(
                "has the header {name:?} with a NUL character, which PostgreSQL cannot store"
            ));
        }
        let lower = name.to_ascii_lowercase();
        // The first correlation id is the one that was put there for the event.
        let ours = position == 0 && name == CORRELATION_ID;
        if (lower.starts_with("ce_") || lower == "content-type") && !ours {
            return fault(format!(
                "declares the header {name:?}, which the relay writes itself"
            ));
        }
        if message.headers[..position]
            .iter()
            .any(|(earlier, _)| earlier == name)
        {
            return fault(format!("has the header {name:?} twice"));
        }
    }
    Ok(())
}

fn check_time(message: &OutboxMessage) -> Result<(), Error> {
    let at = message.occurred_at;
    let wrong = if at.nanosecond() >= 1_000_000_000 {
        "a leap second, which PostgreSQL and Kafka do not have"
    } else if !rules::is_timestamp(at.timestamp_millis()) {
        "which cannot be a record's timestamp: those go from 1970, after its first millisecond, to the end of 9999"
    } else {
        return Ok(());
    };
    let says = format!("happened at {at}, {wrong}");
    Err(refusal(message, ErrorKind::InvalidTime, &says))
}

fn refusal(message: &OutboxMessage, kind: ErrorKind, says: &str) -> Error {
    Error::new(
        kind,
        format!("the event `{}` {says}", message.event_type.replace('\0', "\\0")),
    )
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, TimeZone, Utc};

    use super::*;

    fn good() -> super::super::OutboxMessageBuilder {
        OutboxMessage::builder("orders", "7")
            .event_type("PlacedV1")
            .aggregate_type("order")
            .payload(Payload::Json("{}".to_owned()))
    }

    fn kind(message: OutboxMessage) -> Option<ErrorKind> {
        let limits = Limits {
            max_payload_bytes: 8,
            ..Limits::default()
        };
        let refused = limits.check(&message).err()?;
        if !message.event_type.is_empty() && !message.event_type.contains('\0') {
            assert!(refused.to_string().contains(&message.event_type), "{refused}");
        }
        Some(refused.kind())
    }

    #[test]
    fn what_can_be_stored_and_sent_passes() {
        assert_eq!(kind(good().build()), None);
        assert_eq!(kind(good().payload(Payload::Tombstone).build()), None);
        assert_eq!(kind(good().payload(Payload::Binary(vec![0, 255])).build()), None);
        assert_eq!(
            kind(good().payload(Payload::Json("12345678".into())).build()),
            None
        );
        assert_eq!(kind(good().correlation_id("c").header("x", "y").build()), None);
        assert_eq!(kind(good().header("traceparent", "own").build()), None);
        assert_eq!(
            kind(good().payload(Payload::Json("\"\\u0000\"".into())).build()),
            None
        );
    }

    #[test]
    fn what_cannot_is_refused_with_its_kind() {
        let too_large = ErrorKind::PayloadTooLarge { bytes: 9, limit: 8 };
        assert_eq!(
            kind(good().payload(Payload::Json("123456789".into())).build()),
            Some(too_large)
        );
        assert_eq!(
            kind(good().payload(Payload::Binary(vec![0; 9])).build()),
            Some(too_large)
        );
        assert_eq!(
            kind(good().payload(Payload::Json("{".into())).build()),
            Some(ErrorKind::Payload)
        );
        assert_eq!(
            kind(OutboxMessage::builder("orders", "").build()),
            Some(ErrorKind::EmptyKey)
        );
        let too_long = ErrorKind::KeyTooLong {
            bytes: 1_025,
            limit: 1_024,
        };
        let key = |bytes| {
            OutboxMessage::builder("orders", "k".repeat(bytes))
                .event_type("E")
                .aggregate_type("order")
                .build()
        };
        assert_eq!(kind(key(1_025)), Some(too_long));
        assert_eq!(kind(key(1_024)), None);
        assert_eq!(kind(good().event_type("").build()), Some(ErrorKind::InvalidText));
        assert_eq!(
            kind(good().aggregate_type("a\0").build()),
            Some(ErrorKind::InvalidText)
        );
        assert_eq!(kind(good().source("").build()), Some(ErrorKind::InvalidText));
        for header in ["", "ce_id", "CE_type", "Content-Type", "a\0"] {
            assert_eq!(
                kind(good().header(header, "v").header("x", "y").build()),
                Some(ErrorKind::InvalidHeader),
                "{header:?}"
            );
        }
        assert_eq!(
            kind(good().header("x", "\0").build()),
            Some(ErrorKind::InvalidHeader)
        );
        assert_eq!(
            kind(good().header("x", "1").header("x", "2").build()),
            Some(ErrorKind::InvalidHeader)
        );
        let mut message = good().build();
        message.topic = "a b".to_owned();
        assert_eq!(kind(message), Some(ErrorKind::InvalidTopic));
    }

    #[test]
    fn times_are_what_every_store_and_kafka_have() {
        let at = |time: DateTime<Utc>| kind(good().occurred_at(time).build());
        let epoch = |micros| DateTime::from_timestamp_micros(micros).unwrap();
        let end = epoch(253_402_300_800_000_000);
        for good in [epoch(1_000), end - TimeDelta::microseconds(1)] {
            assert_eq!(at(good), None, "{good}");
        }
        let second = Utc.with_ymd_and_hms(2016, 12, 31, 23, 59, 59).unwrap();
        let leap = second.with_nanosecond(1_500_000_000).unwrap();
        for bad in [
            epoch(0),
            epoch(999),
            epoch(-1),
            end,
            leap,
            DateTime::<Utc>::MIN_UTC,
            DateTime::<Utc>::MAX_UTC,
        ] {
            assert_eq!(at(bad), Some(ErrorKind::InvalidTime), "{bad}");
        }
    }

    #[test]
    fn structured_events_are_refused() {
        for structured in [
            "application/cloudevents+json",
            " Application/CloudEvents-batch+json; charset=utf-8",
        ] {
            assert_eq!(
                kind(good().content_type(structured).build()),
                Some(ErrorKind::InvalidContentType)
            );
        }
    }

    #[test]
    fn the_whole_record_counts() {
        let limits = |max_record_bytes| Limits {
            max_record_bytes,
            ..Limits::default()
        };
        let build = || good().header("x-tenant", "acme").source("/shop").build();
        let size = record_size(&build());
        assert!(limits(size).check(&build()).is_ok());
        let longer = [
            OutboxMessage {
                key: "77".to_owned(),
                ..build()
            },
            OutboxMessage {
                event_type: "PlacedV10".to_owned(),
                ..build()
            },
            OutboxMessage {
                source: Some("/shops".to_owned()),
                ..build()
            },
            OutboxMessage {
                content_type: "application/json;".to_owned(),
                ..build()
            },
            OutboxMessage {
                payload: Payload::Json("{ }".to_owned()),
                ..build()
            },
            OutboxMessage {
                headers: vec![("x-tenant".to_owned(), "acmes".to_owned())],
                ..build()
            },
        ];
        for message in longer {
            let refused = limits(size).check(&message).unwrap_err();
            let (ErrorKind::RecordTooLarge { bytes, limit }, true) =
                (refused.kind(), refused.to_string().contains("max_record_bytes"))
            else {
                panic!("{refused:?}")
            };
            assert!(bytes > limit && limit == size, "{refused}");
            assert!(limits(bytes).check(&message).is_ok());
        }
        // With Kafka's own limit, a payload of the largest size has room for headers that are not.
        let large = OutboxMessage {
            payload: Payload::Binary(vec![0; 1_000_000]),
            ..build()
        };
        assert!(Limits::default().check(&large).is_ok());
        let refused = Limits::default()
            .check(&OutboxMessage {
                headers: vec![("x-trail".to_owned(), "x".repeat(60_000))],
                ..large
            })
            .unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::RecordTooLarge { .. }),
            "{refused}"
        );
    }
}
