//! Spans: what they have in common, and how they are joined to traces.
//!
//! Their names and attributes are those of OpenTelemetry's conventions for messaging. They are spans of `tracing`; the
//! feature `opentelemetry` reads and sets their contexts (`bridge`). `transaction`, `consumer` and `relay` say when
//! one begins and ends.

#[cfg(feature = "opentelemetry")]
mod bridge;
#[cfg(not(feature = "opentelemetry"))]
#[path = "no_bridge.rs"]
mod bridge;
mod context;

use tracing::Span;
use tracing::field::Empty;
use uuid::Uuid;

pub(crate) use bridge::{link, set_parent};
pub(crate) use context::TraceContext;

/// The target of all spans, by which a filter turns them on and off.
pub(crate) const TARGET: &str = "outbox_runtime::trace";

/// The value of `messaging.system`.
pub(crate) const SYSTEM: &str = "kafka";

/// One attempt at a transaction, counted from 1.
pub(crate) fn transaction(attempt: u32) -> Span {
    tracing::info_span!(
        target: TARGET,
        "transaction",
        otel.kind = "internal",
        otel.status_code = Empty,
        outbox.transaction.attempt = attempt,
        outbox.transaction.outcome = Empty,
        outbox.transaction.events = Empty,
    )
}

/// How an attempt ended. An outcome that nobody knows is an error.
pub(crate) fn transaction_ended(span: &Span, outcome: &'static str, is_error: bool) {
    span.record("outbox.transaction.outcome", outcome);
    if is_error {
        span.record("otel.status_code", "ERROR");
    }
}

/// The relay writes down how far the log is settled.
pub(crate) fn settle() -> Span {
    tracing::debug_span!(target: TARGET, parent: None, "settle", otel.kind = "internal")
}

/// The creation of a message, and the context that the message carries from it. `inherited` is the parent if the running
/// code has no span.
pub(crate) fn create(
    topic: &str,
    event_type: &str,
    id: Uuid,
    inherited: Option<&TraceContext>,
) -> Option<TraceContext> {
    let span = tracing::info_span!(
        target: TARGET,
        "create",
        otel.name = %format_args!("create {topic}"),
        otel.kind = "producer",
        messaging.system = SYSTEM,
        messaging.operation.name = "create",
        messaging.operation.type = "create",
        messaging.destination.name = topic,
        messaging.message.id = %id,
        outbox.event_type = event_type,
    );
    if let Some(inherited) = inherited
        && bridge::context_of(&Span::current()).is_none()
    {
        set_parent(&span, inherited);
    }
    bridge::context_of(&span).or_else(|| bridge::context_of(&Span::current()))
}
