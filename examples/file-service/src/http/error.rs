//! What goes wrong, as JSON: `{"error": {"code": "…", "message": "…"}}`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use outbox_runtime::ErrorKind;
use serde_json::json;

use crate::uploads::UploadError;

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn too_large(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
    }

    pub(super) fn unauthenticated() -> Self {
        let message = "the header x-user-id has to name the user";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
    }

    pub(super) fn no_such_upload() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "there is no such file in this batch of yours",
        )
    }

    pub(super) fn internal() -> Self {
        let message = "that is the service's fault; nothing was changed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }

    fn outcome_unknown() -> Self {
        let message =
            "the connection to the database broke during the commit: look whether the change was made";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "OUTCOME_UNKNOWN", message)
    }
}

/// Whether a change may have been made although it ended with this error.
fn may_be_committed(error: &UploadError) -> bool {
    let UploadError::Outbox(error) = error else {
        return false;
    };
    matches!(error.kind(), ErrorKind::CommitOutcomeUnknown { .. })
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        if let UploadError::NotFound = error {
            return Self::no_such_upload();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        if may_be_committed(&error) {
            Self::outcome_unknown()
        } else {
            Self::internal()
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        UploadError::from(error).into()
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request("INVALID_PATH", rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
        } = self;
        (
            status,
            Json(json!({ "error": { "code": code, "message": message } })),
        )
            .into_response()
    }
}

pub(super) async fn no_such_page() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        "there is nothing at this path",
    )
}

pub(super) async fn no_such_method() -> ApiError {
    let message = "this path takes no such method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}
