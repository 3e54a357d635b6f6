//! The consumer's spans: "receive", "process" and "settle".
//!
//! OpenTelemetry's conventions ask for a link to the context with which a message was created, and let that be the
//! parent, too, where a span is about one message. Here it is, so that one trace holds a request and all that follows
//! from it, and so that the sampling of the request counts.

use tracing::Span;
use tracing::field::Empty;

use crate::inbox::InboxMessage;
use crate::received::identity::Identified as _;
use crate::trace::{self, TraceContext};

/// One attempt to handle a message.
pub(super) fn process(group: &str, message: &InboxMessage) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "process",
        otel.name = %format_args!("process {}", message.topic()),
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = trace::SYSTEM,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = message.topic(),
        messaging.destination.partition.id = %message.partition(),
        messaging.kafka.offset = message.offset(),
        messaging.message.id = %message.message_id(),
        messaging.consumer.group.name = group,
        outbox.outcome = Empty,
    );
    join(&span, message);
    span
}

/// A message was handled, with this outcome.
pub(super) fn processed(span: &Span, outcome: &'static str) {
    span.record("outbox.outcome", outcome);
}

/// An attempt failed.
pub(super) fn failed(span: &Span, error_type: &'static str) {
    span.record("outbox.outcome", "failed");
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error_type);
}

/// From when a message came from Kafka to when its partition's worker takes it.
pub(super) fn receive(group: &str, message: &InboxMessage) -> Span {
    let span = tracing::debug_span!(
        target: trace::TARGET,
        parent: None,
        "receive",
        otel.name = %format_args!("receive {}", message.topic()),
        otel.kind = "client",
        messaging.system = trace::SYSTEM,
        messaging.operation.name = "receive",
        messaging.operation.type = "receive",
        messaging.destination.name = message.topic(),
        messaging.destination.partition.id = %message.partition(),
        messaging.kafka.offset = message.offset(),
        messaging.message.id = %message.message_id(),
        messaging.consumer.group.name = group,
    );
    join(&span, message);
    span
}

/// Offsets of so many partitions are committed.
pub(super) fn commit(group: &str, partitions: usize) -> Span {
    tracing::debug_span!(
        target: trace::TARGET,
        parent: None,
        "commit",
        otel.kind = "client",
        messaging.system = trace::SYSTEM,
        messaging.operation.name = "commit",
        messaging.operation.type = "settle",
        messaging.consumer.group.name = group,
        outbox.partitions = partitions,
    )
}

fn join(span: &Span, message: &InboxMessage) {
    if span.is_disabled() {
        return;
    }
    let traceparent = message.header("traceparent").unwrap_or_default();
    if let Some(context) = TraceContext::new(traceparent, message.header("tracestate")) {
        trace::set_parent(span, &context);
        trace::link(span, &context);
    }
}
