//! What can go wrong at the start, and what a request is answered with.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a service did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Database(#[from] sqlx::Error),
    /// The service's tables cannot be created.
    #[error("the tables of the service cannot be created")]
    Tables(#[from] sqlx::migrate::MigrateError),
    /// The outbox tables cannot be created.
    #[error("the outbox tables cannot be created")]
    OutboxTables(#[from] outbox_runtime::schema::SchemaError),
    /// Kafka's settings are wrong.
    #[error("the Kafka publisher cannot be built")]
    Publisher(#[from] outbox_runtime::publisher::PublishError),
    /// The mode needs another database.
    #[error("the mode `{0}` needs PostgreSQL: compile with the feature `postgres`, or leave `--mode` out")]
    Mode(outbox_runtime::modes::Mode),
    /// The consumer could not be started, or ended by itself.
    #[error("the consumer failed")]
    Consumer(#[from] outbox_runtime::consumer::ConsumerError),
    /// The relay could not be started, or ended by itself.
    #[error("the relay failed")]
    Relay(#[from] outbox_runtime::RelayError),
    /// The address cannot be listened on, or a signal not be waited for.
    #[error("the process cannot listen")]
    Listen(#[from] std::io::Error),
}

/// An error as the API answers it: `{"error": {"code": …, "message": …}}`.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    /// The request is not possible in this state.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            code,
            message: message.into(),
        }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "NOT_FOUND",
            message: message.into(),
        }
    }

    /// The request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "BAD_REQUEST",
            message: message.into(),
        }
    }

    /// It is not the caller's fault. The reason is logged and not sent.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %outbox_runtime::ErrorChain::new(error), "a request failed");
        let message = "the request failed; try again".to_owned();
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "INTERNAL",
            message,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": { "code": self.code, "message": self.message } });
        (self.status, Json(body)).into_response()
    }
}
