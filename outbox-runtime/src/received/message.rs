//! A message as a consumer got it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::identity::{Identified, LONGEST};
use crate::event::EventContext;

/// The longest correlation id and trace state that are handed on: each comes from somebody else.
const LONGEST_CONTEXT: usize = 1024;

/// Names and values, in their order.
pub(super) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A record of Kafka: position, key, value and headers.
///
/// A [`Consumer`](crate::Consumer) makes them. From a consumer of one's own, with the feature `kafka`,
/// `InboxMessage::from_kafka` takes any message of rdkafka; or it is put together by hand:
///
/// ```
/// use outbox_runtime::{Identified, InboxMessage};
///
/// let message = InboxMessage::new("shop.order.placed.v1", 2, 1_007)
///     .with_header("ce_id", "0190c3b1-7f32-7d11-a1c4-2d6d0d6a6f00")
///     .with_header("ce_type", "OrderPlacedV1")
///     .with_value(r#"{"order_id": 17}"#);
/// assert_eq!(message.event_type(), Some("OrderPlacedV1"));
/// assert_eq!(message.message_id(), "0190c3b1-7f32-7d11-a1c4-2d6d0d6a6f00");
/// ```
///
/// # Its id
/// - `ce_id`, if it is a UUID, written in lower case with hyphens. It is unique without `ce_source`, which
///   can change with the sender's configuration.
/// - Else `ce_source` and `ce_id`, separated by a space, because CloudEvents requires that both together are
///   unique.
/// - Without a `ce_id` (or if it is empty, not text, or too long to store), its position:
///   `topic/partition/offset@timestamp`. This recognizes a redelivered record, but not one that its producer
///   wrote twice. The timestamp distinguishes a topic from a deleted one of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxMessage {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
}

impl InboxMessage {
    /// Creates an empty message with this position in Kafka.
    pub fn new(topic: impl Into<String>, partition: i32, offset: i64) -> Self {
        Self {
            topic: topic.into(),
            partition,
            offset,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// A message that was stored: its place, and what else there was of it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn restored(
        place: Self,
        timestamp_ms: Option<i64>,
        (key, value): (Option<Vec<u8>>, Option<Vec<u8>>),
        headers: Headers,
    ) -> Self {
        Self {
            timestamp_ms,
            key,
            value,
            headers,
            ..place
        }
    }

    /// Copies a message of rdkafka. A CloudEvent in structured mode (`application/cloudevents+json`) becomes the same
    /// event in binary mode: its attributes become headers, and its data the value.
    #[cfg(feature = "kafka")]
    pub fn from_kafka(message: &impl rdkafka::Message) -> Self {
        use rdkafka::message::Headers as _;
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let copied = Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        };
        super::structured::to_binary_mode(copied)
    }

    /// Takes `ce_type` and `ce_id` from these headers, where the message has none.
    #[cfg(feature = "kafka")]
    pub(crate) fn with_headers_of(mut self, event_type: Option<&str>, id: Option<&str>) -> Self {
        for (attribute, header) in [("ce_type", event_type), ("ce_id", id)] {
            let value = header.and_then(|header| self.header(header)).map(str::to_owned);
            if let (None, Some(value)) = (self.header(attribute), value) {
                self = self.with_header(attribute, value);
            }
        }
        self
    }

    /// Sets the record's timestamp in milliseconds since 1970.
    #[must_use]
    pub fn with_timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Sets the record's key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the record's value. Without one, the message is a tombstone.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Appends a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), Some(value.into())));
        self
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The record's timestamp in milliseconds since 1970: when the event happened.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }

    /// The record's key.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The record's value; `None` for a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// All headers, in order.
    pub fn headers(&self) -> &[(String, Option<Vec<u8>>)] {
        &self.headers
    }

    /// The value of the first header with this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The event's type, from `ce_type`, such as `OrderPlacedV1`.
    pub fn event_type(&self) -> Option<&str> {
        self.header("ce_type").filter(|name| !name.is_empty())
    }

    /// Decodes the value as JSON.
    ///
    /// # Errors
    /// It is not JSON, or not of this shape; a tombstone is neither.
    pub fn json<E: DeserializeOwned>(&self) -> Result<E, serde_json::Error> {
        serde_json::from_slice(self.value.as_deref().unwrap_or_default())
    }

    /// The bytes that it takes in memory, roughly.
    #[cfg(feature = "kafka")]
    pub(crate) fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| 48 + name.len() + value.as_ref().map_or(0, Vec::len));
        256 + self.key.as_ref().map_or(0, Vec::len)
            + self.value.as_ref().map_or(0, Vec::len)
            + headers.sum::<usize>()
    }

    fn cloud_event_id(&self) -> Option<Cow<'_, str>> {
        let id = self.header("ce_id").filter(|id| !id.is_empty())?;
        if let Ok(id) = Uuid::try_parse(id) {
            return Some(Cow::Owned(id.hyphenated().to_string()));
        }
        let source = self.header("ce_source").unwrap_or_default();
        let id = format!("{source} {id}");
        (id.len() <= LONGEST && !id.contains('\0')).then_some(Cow::Owned(id))
    }
}

impl Identified for InboxMessage {
    fn message_id(&self) -> Cow<'_, str> {
        self.cloud_event_id().unwrap_or_else(|| {
            let Self {
                topic,
                partition,
                offset,
                ..
            } = self;
            let timestamp = self.timestamp_ms.unwrap_or(-1);
            Cow::Owned(format!("{topic}/{partition}/{offset}@{timestamp}"))
        })
    }

    /// What is handed on to everything that the handler emits. A message without a correlation id starts a
    /// conversation of its own, which is then called by that message's `ce_id`.
    fn event_context(&self) -> Option<EventContext> {
        let text = |name| {
            self.header(name)
                .filter(|value| value.len() <= LONGEST_CONTEXT && !value.contains('\0') && !value.is_empty())
        };
        let mut context = EventContext::new();
        if let Some(correlation) = text("ce_correlationid").or_else(|| text("ce_id")) {
            context = context.correlation_id(correlation);
        }
        if let Some(traceparent) = text("traceparent") {
            context = context.trace(traceparent, text("tracestate"));
        }
        Some(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190c3b1-7f32-7d11-a1c4-2d6d0d6a6f00";
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn message() -> InboxMessage {
        InboxMessage::new("orders", 1, 7).with_timestamp_ms(99)
    }

    #[test]
    fn a_uuid_is_enough_and_has_one_spelling() {
        let plain = message().with_header("ce_id", ID).with_header("ce_source", "/a");
        let loud = message()
            .with_header("ce_id", ID.to_uppercase())
            .with_header("ce_source", "/b");
        assert_eq!(plain.message_id(), ID);
        assert_eq!(loud.message_id(), ID);
    }

    #[test]
    fn other_ids_belong_to_their_source() {
        let message = |source: &str| {
            message()
                .with_header("ce_id", "17")
                .with_header("ce_source", source)
        };
        assert_eq!(message("/a").message_id(), "/a 17");
        assert_ne!(message("/a").message_id(), message("/b").message_id());
    }

    #[test]
    fn without_a_usable_id_the_place_in_the_log_counts() {
        assert_eq!(message().message_id(), "orders/1/7@99");
        let recreated = InboxMessage::new("orders", 1, 7).with_timestamp_ms(100);
        assert_ne!(recreated.message_id(), message().message_id());
        for useless in ["", "a\0b", &"x".repeat(600)] {
            let message = message().with_header("ce_id", useless);
            assert_eq!(message.message_id(), "orders/1/7@99", "{useless:?}");
        }
        let bytes = message().with_header("ce_id", [0xff_u8]);
        assert_eq!(bytes.message_id(), "orders/1/7@99");
    }

    #[test]
    fn what_is_handed_on_comes_from_the_message() {
        let full = message()
            .with_header("ce_id", ID)
            .with_header("ce_correlationid", "c-1")
            .with_header("traceparent", TRACE)
            .with_header("tracestate", "v=1");
        let expected = EventContext::new()
            .correlation_id("c-1")
            .trace(TRACE, Some("v=1"));
        assert_eq!(full.event_context(), Some(expected));
        let first = message().with_header("ce_id", ID).event_context().unwrap();
        assert_eq!(first.correlation(), Some(ID));
        let absurd = message().with_header("ce_correlationid", "x".repeat(2_000));
        assert_eq!(absurd.event_context(), Some(EventContext::new()));
    }
}
