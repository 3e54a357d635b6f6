//! What an event inherits from the request that caused it: correlation id and trace context.

use std::future::Future;
use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Arc<EventContext>;
}

/// Correlation id and W3C trace context, stored with each message as `ce_correlationid`, `traceparent` and
/// `tracestate`.
///
/// A middleware reads it from the request and runs the rest of the request in it; every event emitted there
/// carries it, unless it has a correlation id of its own:
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
/// Tasks that are spawned inside do not inherit it: take [`EventContext::current`] along, and set it with
/// [`OutboxTx::set_context`](crate::OutboxTx::set_context) or another `scope`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventContext {
    correlation_id: Option<String>,
    traceparent: Option<String>,
    tracestate: Option<String>,
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
    /// A `traceparent` that is not of the form `00-<32 hex>-<16 hex>-<2 hex>` is left out together with its
    /// state, as the W3C recommendation asks: it comes from a client, and is no reason to fail a request.
    #[must_use]
    pub fn trace(mut self, traceparent: impl Into<String>, tracestate: Option<&str>) -> Self {
        let traceparent = traceparent.into();
        if is_traceparent(&traceparent) {
            self.traceparent = Some(traceparent);
            self.tracestate = tracestate.filter(|state| !state.is_empty()).map(str::to_owned);
        }
        self
    }

    /// The correlation id.
    pub fn correlation(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The W3C `traceparent`.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// The W3C `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
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

/// Whether `value` is a `traceparent` of the W3C recommendation: lower-case hex, no id all zeros.
fn is_traceparent(value: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length: usize| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let mut parts = value.split('-');
    let (Some(version), Some(trace), Some(span), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // Version ff is forbidden; later versions than 00 may say more behind the flags.
    let ends = parts.next().is_none() || version != "00";
    is_hex(version, 2) && version != "ff" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2) && ends
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_checked() {
        assert!(is_traceparent(GOOD));
        assert!(is_traceparent(&GOOD.replacen("00", "01", 1)));
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            &GOOD.to_uppercase(),
            &format!("{GOOD}-x"),
            &GOOD.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad:?} was accepted");
        }
    }

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
