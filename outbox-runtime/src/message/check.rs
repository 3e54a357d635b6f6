//! What is refused at emit, because the database or Kafka would refuse it later.

use chrono::Datelike;

use super::{CORRELATION_ID, OutboxMessage};
use crate::error::{Error, ErrorKind};
use crate::event::{Payload, topic};

/// The longest key. A key names something: it is compared, hashed and indexed, also by consumers and their databases, where
/// an entry of an index has about 2,700 bytes.
const MAX_KEY_BYTES: usize = 1_024;

/// What an outbox takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_payload_bytes: usize,
}

impl Limits {
    /// librdkafka's own default for `message.max.bytes`.
    pub(crate) const DEFAULT_MAX_PAYLOAD_BYTES: usize = 1_000_000;

    /// Whether `message` can be stored and sent.
    pub(crate) fn check(&self, message: &OutboxMessage) -> Result<(), Error> {
        check_texts(message)?;
        check_topic(message)?;
        self.check_payload(message)?;
        check_headers(message)?;
        check_time(message)
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
        if let Payload::Json(text) = &message.payload {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|source| {
                refusal(message, ErrorKind::Payload, "has a payload that is not JSON").with_source(source)
            })?;
        }
        Ok(())
    }
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
    // Kafka has no timestamps before 1970, RFC 3339 none after 9999.
    if (1970..=9999).contains(&message.occurred_at.year()) {
        return Ok(());
    }
    let says = format!(
        "happened at {}, which cannot be a record's timestamp",
        message.occurred_at
    );
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
    use chrono::{TimeZone, Utc};

    use super::*;

    fn good() -> super::super::OutboxMessageBuilder {
        OutboxMessage::builder("orders", "7")
            .event_type("PlacedV1")
            .aggregate_type("order")
            .payload(Payload::Json("{}".to_owned()))
    }

    fn kind(message: OutboxMessage) -> Option<ErrorKind> {
        let refused = Limits { max_payload_bytes: 8 }.check(&message).err()?;
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
        let early = Utc.with_ymd_and_hms(1969, 12, 31, 0, 0, 0).unwrap();
        assert_eq!(
            kind(good().occurred_at(early).build()),
            Some(ErrorKind::InvalidTime)
        );
        let mut message = good().build();
        message.topic = "a b".to_owned();
        assert_eq!(kind(message), Some(ErrorKind::InvalidTopic));
    }
}
