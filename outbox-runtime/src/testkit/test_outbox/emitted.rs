//! Events as a test sees them: decoded, with what was stored or delivered beside.

use std::ops::Deref;

use serde::de::DeserializeOwned;

use crate::event::{OutboxEvent, Payload};
use crate::inbox::InboxMessage;
use crate::message::OutboxMessage;

/// An event that was committed, with its message. It dereferences to the event and can be compared with one.
#[derive(Debug, Clone)]
pub struct Emitted<E> {
    event: E,
    message: OutboxMessage,
}

/// Why a message is no event of a type.
pub(super) enum NotRead {
    /// It is of another type, or goes to another topic.
    Another,
    /// It does not decode.
    Undecodable(serde_json::Error),
}

impl<E: OutboxEvent + DeserializeOwned> Emitted<E> {
    pub(super) fn read(message: OutboxMessage) -> Result<Self, NotRead> {
        let text = match message.payload() {
            Payload::Json(text) => text.as_bytes(),
            Payload::Binary(bytes) => bytes,
            Payload::Tombstone => b"null",
        };
        let event: E = serde_json::from_slice(text).map_err(NotRead::Undecodable)?;
        match event.event_type() == message.event_type() && event.topic() == message.topic() {
            true => Ok(Self { event, message }),
            false => Err(NotRead::Another),
        }
    }
}

impl<E> Emitted<E> {
    /// The message: id, key, headers, time.
    pub fn message(&self) -> &OutboxMessage {
        &self.message
    }

    /// The value of a stored header: a declared one, `ce_correlationid` or `traceparent`.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.message.headers().iter().find(|(header, _)| header == name)?;
        Some(value)
    }

    /// The event itself.
    pub fn into_event(self) -> E {
        self.event
    }
}

/// An event that was read back from the broker, with its record. It dereferences to the event and can be compared with
/// one.
#[derive(Debug, Clone)]
pub struct Consumed<E> {
    event: E,
    record: InboxMessage,
}

impl<E: DeserializeOwned> Consumed<E> {
    pub(super) fn read(record: InboxMessage) -> Self {
        let event = record
            .json()
            .expect("what was emitted as this type is read as this type");
        Self { event, record }
    }
}

impl<E> Consumed<E> {
    /// The record: key, partition, all headers, timestamp.
    pub fn record(&self) -> &InboxMessage {
        &self.record
    }

    /// The event itself.
    pub fn into_event(self) -> E {
        self.event
    }
}

impl<E> Deref for Emitted<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.event
    }
}

impl<E> Deref for Consumed<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.event
    }
}

impl<E: PartialEq> PartialEq<E> for Emitted<E> {
    fn eq(&self, other: &E) -> bool {
        self.event == *other
    }
}

impl<E: PartialEq> PartialEq<E> for Consumed<E> {
    fn eq(&self, other: &E) -> bool {
        self.event == *other
    }
}
