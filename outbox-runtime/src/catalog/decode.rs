//! From a record back to the event it was.

use std::any::{TypeId, type_name};

use serde::de::DeserializeOwned;

use super::descriptor::EventDescriptor;
use super::lookup::Catalog;
use crate::record::OutboxRecord;

/// The type, content type and payload of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedEvent<'r> {
    /// The type: `ce_type`, such as `OrderPlacedV1`.
    pub event_type: &'r str,
    /// The payload's media type: `content-type`.
    pub content_type: &'r str,
    /// The record's value; `None` is a tombstone.
    pub payload: Option<&'r [u8]>,
}

impl<'r> EncodedEvent<'r> {
    /// Creates it from the headers and the value of a Kafka record. Without a `content-type`, JSON is assumed.
    ///
    /// # Errors
    /// There is no `ce_type` among the headers, or it is not text.
    pub fn from_headers<N: AsRef<str>>(
        headers: impl IntoIterator<Item = (N, Option<&'r [u8]>)>,
        payload: Option<&'r [u8]>,
    ) -> Result<Self, DecodeError> {
        let (mut event_type, mut content_type) = (None, "application/json");
        for (name, value) in headers {
            let text = value.and_then(|bytes| std::str::from_utf8(bytes).ok());
            match name.as_ref() {
                "ce_type" => event_type = text,
                "content-type" => content_type = text.unwrap_or(content_type),
                _ => {}
            }
        }
        Ok(Self {
            event_type: event_type.ok_or(DecodeError::NoType)?,
            content_type,
            payload,
        })
    }
}

impl<'r> From<&OutboxRecord<'r>> for EncodedEvent<'r> {
    fn from(record: &OutboxRecord<'r>) -> Self {
        Self {
            event_type: record.event_type,
            content_type: record.content_type,
            payload: record.payload,
        }
    }
}

/// Why a record cannot be decoded as the requested event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The record has no type.
    #[error("the record has no header `ce_type`")]
    NoType,
    /// The type has no `#[derive(OutboxEvent)]`, or is a form of a generic event that `instances(…)` does not name.
    #[error(
        "`{rust_type}` is not in the catalog: it has no `#[derive(OutboxEvent)]`, or is a form that its `instances(…)` leaves out"
    )]
    NotAnEvent {
        /// The type that was asked for.
        rust_type: &'static str,
    },
    /// The record is another event.
    #[error("the record is a `{event_type}`, and `{rust_type}` is {declared}")]
    OtherEvent {
        /// What the record is.
        event_type: String,
        /// The type that was asked for.
        rust_type: &'static str,
        /// The event types that it is.
        declared: String,
    },
    /// The record has no value.
    #[error("the record of `{event_type}` is a tombstone: it has no value to decode")]
    Tombstone {
        /// What the record is.
        event_type: String,
    },
    /// The payload's media type is not JSON.
    #[error("the record of `{event_type}` is {content_type:?}, which is not JSON")]
    NotJson {
        /// What the record is.
        event_type: String,
        /// What its payload is.
        content_type: String,
    },
    /// The payload cannot be deserialized as the type.
    #[error("the record's payload is not a `{event_type}`")]
    Payload {
        /// What the record is.
        event_type: String,
        /// What serde says.
        source: serde_json::Error,
    },
}

impl Catalog {
    /// Decodes a record as an event of type `E`, after checking its type.
    ///
    /// ```
    /// use outbox_runtime::OutboxEvent;
    /// use outbox_runtime::catalog::{Catalog, EncodedEvent};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize, OutboxEvent)]
    /// #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// struct OrderPlacedV1 { order_id: u64 }
    ///
    /// let headers = [("ce_type", Some(b"OrderPlacedV1".as_slice()))];
    /// let record = EncodedEvent::from_headers(headers, Some(br#"{"order_id": 7}"#))?;
    /// let event: OrderPlacedV1 = Catalog::global().decode(record)?;
    /// assert_eq!(event.order_id, 7);
    /// # Ok::<(), outbox_runtime::catalog::DecodeError>(())
    /// ```
    ///
    /// A stored one is taken as it is: `decode(&record)`. An enum is read from each of its own variants' events; the event
    /// of a `transparent` variant is decoded as the type that the variant holds.
    ///
    /// # Errors
    /// The record is another event, or its payload cannot be read as `E`: see [`DecodeError`].
    pub fn decode<'r, E: DeserializeOwned + 'static>(
        &self,
        record: impl Into<EncodedEvent<'r>>,
    ) -> Result<E, DecodeError> {
        let record = record.into();
        let rust_type = type_name::<E>();
        let types: Vec<_> = self
            .iter()
            .filter(|event| event.is_of(TypeId::of::<E>()))
            .map(EventDescriptor::event_type)
            .collect();
        if types.is_empty() {
            return Err(DecodeError::NotAnEvent { rust_type });
        }
        let event_type = || record.event_type.to_owned();
        if !types.contains(&record.event_type) {
            let declared = format!("`{}`", types.join("`, `"));
            return Err(DecodeError::OtherEvent {
                event_type: event_type(),
                rust_type,
                declared,
            });
        }
        if !is_json(record.content_type) {
            return Err(DecodeError::NotJson {
                event_type: event_type(),
                content_type: record.content_type.to_owned(),
            });
        }
        let Some(payload) = record.payload else {
            return Err(DecodeError::Tombstone {
                event_type: event_type(),
            });
        };
        serde_json::from_slice(payload).map_err(|source| DecodeError::Payload {
            event_type: event_type(),
            source,
        })
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_a_record_is() {
        let headers = [
            ("ce_id", Some(b"1".as_slice())),
            ("ce_type", Some(b"A".as_slice())),
            ("content-type", Some(b"text/plain".as_slice())),
        ];
        let record = EncodedEvent::from_headers(headers, None).unwrap();
        assert_eq!((record.event_type, record.content_type), ("A", "text/plain"));
        for without in [
            vec![],
            vec![("ce_type", None)],
            vec![("ce_type", Some([0xff].as_slice()))],
        ] {
            let read = EncodedEvent::from_headers(without, None);
            assert!(matches!(read, Err(DecodeError::NoType)), "{read:?}");
        }
    }

    #[test]
    fn media_types_with_json_in_them_are_json() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents+json",
        ] {
            assert!(is_json(json), "{json}");
        }
        assert!(!is_json("application/jsonx") && !is_json("") && !is_json("text/plain"));
    }
}
