//! A message as it will be inserted: everything about it is fixed here, once.

mod builder;
mod check;

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::event::{BoxError, EventContext, OutboxEvent, Payload};
use crate::trace::{self, TraceContext};

pub use builder::OutboxMessageBuilder;
pub(crate) use check::Limits;

/// The header that carries the correlation id.
const CORRELATION_ID: &str = "ce_correlationid";
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// A message to insert. Its id, time, headers and payload do not change, so every attempt sends the same
/// record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    pub(crate) id: Uuid,
    pub(crate) aggregate_type: String,
    pub(crate) key: String,
    pub(crate) event_type: String,
    pub(crate) topic: String,
    pub(crate) payload: Payload,
    pub(crate) content_type: String,
    pub(crate) source: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) occurred_at: DateTime<Utc>,
}

impl OutboxMessage {
    /// Creates the message of `event` with a new id (UUIDv7) and, unless the event sets `occurred_at`, the
    /// current time.
    ///
    /// Correlation id and trace context come from the event, else from [`EventContext::current`]. With the feature
    /// `opentelemetry`, the current span gives the trace context if neither sets one.
    ///
    /// # Errors
    /// [`ErrorKind::Payload`] if the payload cannot be serialized. All other checks happen when the message
    /// is emitted or enqueued, against the limits of that outbox.
    pub fn from_event<E: OutboxEvent + ?Sized>(event: &E) -> Result<Self, Error> {
        Self::in_context(Uuid::now_v7(), event, EventContext::current().as_ref())
    }

    /// Builds a message without an event type in Rust.
    pub fn builder(topic: impl Into<String>, key: impl Into<String>) -> OutboxMessageBuilder {
        OutboxMessageBuilder::new(topic.into(), key.into())
    }

    /// Replaces the id, for callers that may write the message again, so that consumers recognize it.
    #[must_use]
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn in_context<E: OutboxEvent + ?Sized>(
        id: Uuid,
        event: &E,
        context: Option<&EventContext>,
    ) -> Result<Self, Error> {
        let event_type = event.event_type().into_owned();
        let payload = event.payload().map_err(|source| unwritten(&event_type, source))?;
        let topic = event.topic().into_owned();
        let created = |inherited: Option<&TraceContext>| trace::create(&topic, &event_type, id, inherited);
        Ok(Self {
            id,
            aggregate_type: event.aggregate_type().into_owned(),
            key: event.key(),
            payload,
            content_type: event.content_type().into_owned(),
            source: event.source().map(|source| source.into_owned()),
            headers: headers(event.correlation_id(), context, event.headers(), created),
            occurred_at: stored_time(event.occurred_at()),
            topic,
            event_type,
        })
    }

    /// The event's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The type of the entity that the event is about.
    pub fn aggregate_type(&self) -> &str {
        &self.aggregate_type
    }

    /// The Kafka key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The event's type.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The Kafka topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The record's value.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The payload's media type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The CloudEvents source, if the event sets one.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The stored headers: correlation id and trace context first, then the declared ones.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The time of the event, in microsecond precision.
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.occurred_at
    }
}

/// serde_json's message is kept in the text; any other error of an event's own is kept.
fn unwritten(event_type: &str, source: BoxError) -> Error {
    let message = format!("the payload of the event `{event_type}` could not be written");
    match source.downcast::<serde_json::Error>() {
        Ok(error) => Error::new(ErrorKind::Payload, format!("{message}: {error}")),
        Err(source) => Error::new(ErrorKind::Payload, message).with_source(source),
    }
}

/// Correlation id and trace context first, then what the event declares; the event's own word counts. `created` is
/// called for the message's own span, unless somebody has set a trace by hand.
fn headers(
    correlation_id: Option<String>,
    context: Option<&EventContext>,
    declared: Vec<(String, String)>,
    created: impl FnOnce(Option<&TraceContext>) -> Option<TraceContext>,
) -> Vec<(String, String)> {
    let correlation_id = correlation_id
        .filter(|id| !id.is_empty())
        .or_else(|| context.and_then(EventContext::correlation).map(str::to_owned));
    // An event that brings a trace of its own is not given half of another one.
    let traced = declared
        .iter()
        .any(|(name, _)| name == TRACEPARENT || name == TRACESTATE);
    let trace = match context.and_then(EventContext::explicit_trace) {
        _ if traced => None,
        Some(explicit) => Some(explicit.clone()),
        None => {
            let inherited = context.and_then(EventContext::any_trace);
            created(inherited).or_else(|| inherited.cloned())
        }
    };
    let trace = trace.as_ref();
    let inherited = [
        (CORRELATION_ID, correlation_id),
        (TRACEPARENT, trace.map(|trace| trace.traceparent().to_owned())),
        (
            TRACESTATE,
            trace.and_then(TraceContext::tracestate).map(str::to_owned),
        ),
    ];
    let inherited = inherited
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    inherited.chain(declared).collect()
}

/// PostgreSQL stores microseconds, so the message has no more than these.
fn stored_time(given: Option<DateTime<Utc>>) -> DateTime<Utc> {
    given.unwrap_or_else(Utc::now).trunc_subsecs(6)
}

/// What the payloads weigh together.
pub(crate) fn payload_bytes(messages: &[OutboxMessage]) -> usize {
    messages.iter().map(|message| message.payload().len()).sum()
}

/// Topic and type of each message.
pub(crate) fn kinds(messages: &[OutboxMessage]) -> impl Iterator<Item = (&str, &str)> {
    messages
        .iter()
        .map(|message| (message.topic(), message.event_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(headers: &[(String, String)]) -> Vec<(&str, &str)> {
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn unspanned(_: Option<&TraceContext>) -> Option<TraceContext> {
        None
    }

    fn spanned(_: Option<&TraceContext>) -> Option<TraceContext> {
        TraceContext::new(SPAN, None)
    }

    const SPAN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_context_comes_first_and_the_events_own_id_wins() {
        let context = EventContext::new()
            .correlation_id("outer")
            .trace(TRACE, Some("v=1"));
        let declared = vec![("x-tenant".to_owned(), "a".to_owned())];
        let all = headers(None, Some(&context), declared.clone(), unspanned);
        assert_eq!(
            pairs(&all),
            [
                ("ce_correlationid", "outer"),
                ("traceparent", TRACE),
                ("tracestate", "v=1"),
                ("x-tenant", "a")
            ]
        );
        let own = headers(Some("own".to_owned()), Some(&context), Vec::new(), unspanned);
        assert_eq!(pairs(&own)[0], ("ce_correlationid", "own"));
        assert_eq!(headers(None, None, declared.clone(), unspanned), declared);
    }

    #[test]
    fn an_events_own_trace_is_not_mixed_with_the_contexts() {
        let context = EventContext::new().trace(TRACE, Some("v=1"));
        let declared = vec![("traceparent".to_owned(), "mine".to_owned())];
        assert_eq!(
            headers(None, Some(&context), declared.clone(), unspanned),
            declared
        );
    }

    #[test]
    fn a_trace_that_was_set_by_hand_counts_more_than_the_span() {
        let by_hand = EventContext::new().trace(TRACE, Some("v=1"));
        let trace = |context: &EventContext| headers(None, Some(context), Vec::new(), spanned);
        assert_eq!(
            pairs(&trace(&by_hand)),
            [("traceparent", TRACE), ("tracestate", "v=1")]
        );
        assert_eq!(pairs(&trace(&by_hand.continued())), [("traceparent", SPAN)]);
        assert_eq!(pairs(&trace(&EventContext::new())), [("traceparent", SPAN)]);
    }
}
