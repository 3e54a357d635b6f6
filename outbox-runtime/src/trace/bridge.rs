//! Contexts of spans, through the layer of `tracing-opentelemetry` if the process has one.

use std::str::FromStr as _;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::TraceContext;

/// None if the span is disabled, or there is no layer.
pub(super) fn context_of(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    if !context.is_valid() {
        return None;
    }
    let traceparent = format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    );
    TraceContext::new(&traceparent, Some(&context.trace_state().header()))
}

/// Makes `parent` the parent of a span that was not entered yet.
pub(crate) fn set_parent(span: &Span, parent: &TraceContext) {
    if let Some(parent) = remote(parent).filter(|_| !span.is_disabled()) {
        // It fails without a layer, which is nobody's fault.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Links a span to another one.
pub(crate) fn link(span: &Span, to: &TraceContext) {
    if let Some(to) = remote(to).filter(|_| !span.is_disabled()) {
        span.add_link(to);
    }
}

fn remote(context: &TraceContext) -> Option<SpanContext> {
    let (trace, span, flags) = context.parts()?;
    Some(SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags),
        true,
        // A state that cannot be read is no reason to lose the trace.
        TraceState::from_str(context.tracestate().unwrap_or_default()).unwrap_or_default(),
    ))
}
