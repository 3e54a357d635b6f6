//! Correlation id and trace of a request: from its headers to every event that it causes.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use outbox_runtime::EventContext;

/// Runs the request in the context from its headers.
pub(crate) async fn in_context(request: Request, next: Next) -> Response {
    let context = context(request.headers());
    EventContext::scope(context, next.run(request)).await
}

fn context(headers: &HeaderMap) -> EventContext {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let context = match text("traceparent") {
        Some(traceparent) => EventContext::new().trace(traceparent, text("tracestate")),
        None => EventContext::new(),
    };
    match text("x-correlation-id") {
        Some(id) => context.correlation_id(id),
        None => context,
    }
}
