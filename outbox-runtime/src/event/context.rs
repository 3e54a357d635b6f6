//! The correlation id and the trace context that an event inherits from its request.

use std::future::Future;
use std::sync::Arc;

use crate::trace::TraceContext;

tokio::task_local! {
    static CURRENT: Arc<EventContext>;
}

/// Correlation id and W3C trace context, stored with each message as `ce_correlationid`, `traceparent` and
/// `tracestate`.
///
/// A middleware reads it from the request and runs the rest of the request in it. Every event emitted there
/// carries it, unless the event has its own correlation id:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use outbox_runtime::EventContext;
///
/// let context = EventContext::new()
///     .correlation_id("8a1f")
///     .trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
/// EventContext::scope(context, async {
///     assert_eq!(EventContext::current().unwrap().correlation(), Some("8a1f"));
/// })
/// .await;
/// # }
/// ```
///
/// With the feature `opentelemetry`, the trace context comes from the current span, unless one is set with
/// [`trace`](Self::trace).
///
/// Spawned tasks do not inherit it: move [`EventContext::current`] into the task, and set it with
/// [`OutboxTx::set_context`](crate::OutboxTx::set_context) or another `scope`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventContext {
    correlation_id: Option<String>,
    trace: Option<TraceContext>,
    /// The trace is that of a message that is being processed; the span of the processing continues it.
    continued: bool,
}

impl EventContext {
    /// An empty context.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the correlation id. An empty one is ignored.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// Sets the W3C trace context: the headers `traceparent` and, if present, `tracestate`.
    ///
    /// A `traceparent` that is not of the form `00-<32 hex>-<16 hex>-<2 hex>` is ignored together with its
    /// state, as the W3C recommendation requires: it comes from a client and must not fail a request.
    #[must_use]
    pub fn trace(mut self, traceparent: impl Into<String>, tracestate: Option<&str>) -> Self {
        if let Some(trace) = TraceContext::new(&traceparent.into(), tracestate) {
            (self.trace, self.continued) = (Some(trace), false);
        }
        self
    }

    /// The correlation id.
    pub fn correlation(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The W3C `traceparent`.
    pub fn traceparent(&self) -> Option<&str> {
        self.trace.as_ref().map(TraceContext::traceparent)
    }

    /// The W3C `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.trace.as_ref().and_then(TraceContext::tracestate)
    }

    /// The context of a message that is being processed.
    pub(crate) fn continued(mut self) -> Self {
        self.continued = true;
        self
    }

    /// A trace that was set by hand, and so counts more than that of the current span.
    pub(crate) fn explicit_trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref().filter(|_| !self.continued)
    }

    pub(crate) fn any_trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// Runs `future` with `context` as its [`current`](Self::current) context.
    pub async fn scope<F: Future>(context: Self, future: F) -> F::Output {
        CURRENT.scope(Arc::new(context), future).await
    }

    /// Runs `part` in `context`, or else in the one that is around it.
    pub(crate) fn enter(context: Option<Arc<Self>>, part: &mut dyn FnMut()) {
        match context {
            Some(context) => CURRENT.sync_scope(context, part),
            None => part(),
        }
    }

    /// The context of the innermost [`scope`](Self::scope).
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| Self::clone(context)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_traceparent_takes_its_state_with_it() {
        let context = EventContext::new().trace("nonsense", Some("vendor=1"));
        assert_eq!(context, EventContext::new());
        assert_eq!(EventContext::new().correlation_id(""), EventContext::new());
    }

    #[tokio::test]
    async fn the_innermost_scope_counts() {
        assert_eq!(EventContext::current(), None);
        let inner = EventContext::new().correlation_id("b");
        EventContext::scope(EventContext::new().correlation_id("a"), async {
            EventContext::scope(inner.clone(), async {
                assert_eq!(EventContext::current().as_ref(), Some(&inner));
            })
            .await;
            assert_eq!(EventContext::current().unwrap().correlation(), Some("a"));
        })
        .await;
    }
}
