//! Messages without an event type in Rust.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{OutboxMessage, headers, stored_time};
use crate::event::{EventContext, Payload};
use crate::trace;

/// Builds a message whose type, topic or payload is known only at run time.
///
/// ```
/// use outbox_runtime::{OutboxMessage, Payload};
///
/// let message = OutboxMessage::builder("shop.order.placed.v1", "order-7")
///     .event_type("OrderPlacedV1")
///     .aggregate_type("order")
///     .payload(Payload::Json(r#"{"order_id":7}"#.to_owned()))
///     .header("x-tenant", "acme")
///     .build();
/// assert_eq!(message.key(), "order-7");
/// ```
///
/// The message is not checked here, but when it is emitted or enqueued.
#[derive(Debug, Clone)]
#[must_use]
pub struct OutboxMessageBuilder {
    message: OutboxMessage,
    correlation_id: Option<String>,
}

impl OutboxMessageBuilder {
    pub(super) fn new(topic: String, key: String) -> Self {
        let message = OutboxMessage {
            id: Uuid::now_v7(),
            aggregate_type: String::new(),
            key,
            event_type: String::new(),
            topic,
            payload: Payload::Tombstone,
            content_type: "application/json".to_owned(),
            source: None,
            headers: Vec::new(),
            occurred_at: stored_time(None),
        };
        Self {
            message,
            correlation_id: None,
        }
    }

    /// The event's type; required.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.message.event_type = event_type.into();
        self
    }

    /// The type of the entity that the event is about; required.
    pub fn aggregate_type(mut self, aggregate_type: impl Into<String>) -> Self {
        self.message.aggregate_type = aggregate_type.into();
        self
    }

    /// The record's value. Default: none, which makes the message a tombstone.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.message.payload = payload;
        self
    }

    /// The payload's media type. Default: `application/json`.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.message.content_type = content_type.into();
        self
    }

    /// The CloudEvents source. Default: the relay's.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.message.source = Some(source.into());
        self
    }

    /// The correlation id. Default: that of [`EventContext::current`].
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Adds a Kafka header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.message.headers.push((name.into(), value.into()));
        self
    }

    /// The time of the event. Default: now.
    pub fn occurred_at(mut self, at: DateTime<Utc>) -> Self {
        self.message.occurred_at = stored_time(Some(at));
        self
    }

    /// The event id. Default: a new UUIDv7.
    pub fn id(mut self, id: Uuid) -> Self {
        self.message.id = id;
        self
    }

    /// Builds the message.
    pub fn build(self) -> OutboxMessage {
        let Self {
            mut message,
            correlation_id,
        } = self;
        let declared = std::mem::take(&mut message.headers);
        message.headers = headers(
            correlation_id,
            EventContext::current().as_ref(),
            declared,
            |inherited| trace::create(&message.topic, &message.event_type, message.id, inherited),
        );
        message
    }
}
