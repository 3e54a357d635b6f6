//! Correlation id and trace: from the request's headers to every event that it causes, and into the answer.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use outbox_runtime::EventContext;
use uuid::Uuid;

use super::error::ApiError;

const CORRELATION_ID: &str = "x-correlation-id";
const USER_ID: &str = "x-user-id";
const REQUEST_KEY: &str = "idempotency-key";

/// The request's correlation id: its own, or a new one.
#[derive(Debug, Clone, Copy)]
pub(super) struct CorrelationId(pub(super) Uuid);

/// Runs the request in the context from its headers.
pub(super) async fn in_context(mut request: Request, next: Next) -> Response {
    let id = match correlation_id(request.headers()) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(CorrelationId(id));
    let context = trace(request.headers()).correlation_id(id.to_string());
    let mut response = EventContext::scope(context, next.run(request)).await;
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(CORRELATION_ID, value);
    }
    response
}

fn correlation_id(headers: &HeaderMap) -> Result<Uuid, ApiError> {
    match headers.get(CORRELATION_ID) {
        None => Ok(Uuid::new_v4()),
        Some(value) => Uuid::try_parse_ascii(value.as_bytes()).map_err(|_| {
            ApiError::bad_request(
                "INVALID_CORRELATION_ID",
                "the header x-correlation-id has to be a UUID",
            )
        }),
    }
}

fn trace(headers: &HeaderMap) -> EventContext {
    match text(headers, "traceparent") {
        Some(traceparent) => EventContext::new().trace(traceparent, text(headers, "tracestate")),
        None => EventContext::new(),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

impl<S: Sync> FromRequestParts<S> for CorrelationId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get().copied().ok_or_else(ApiError::internal)
    }
}

/// Identifies a repeated request, if its sender gave it a key.
#[derive(Debug, Clone)]
pub(super) struct RequestKey(pub(super) Option<String>);

impl<S: Sync> FromRequestParts<S> for RequestKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match parts.headers.get(REQUEST_KEY).map(HeaderValue::to_str) {
            None => Ok(Self(None)),
            Some(Ok(key)) if (1..=255).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            Some(_) => Err(ApiError::bad_request(
                "INVALID_IDEMPOTENCY_KEY",
                "the header idempotency-key has to be a text of 1 to 255 visible characters",
            )),
        }
    }
}

/// Who asks, as the gateway in front of the service has found out.
#[derive(Debug, Clone)]
pub(super) struct UserId(pub(super) String);

impl<S: Sync> FromRequestParts<S> for UserId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match text(&parts.headers, USER_ID) {
            Some(user) if !user.trim().is_empty() && user.len() <= 255 => Ok(Self(user.to_owned())),
            _ => Err(ApiError::unauthenticated()),
        }
    }
}
