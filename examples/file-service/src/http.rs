//! The service over HTTP: JSON out, multipart in, errors as JSON too.

mod context;
mod error;
mod files;
mod form;
mod health;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use outbox_runtime::{Outbox, RelayProgress};
use sqlx::Postgres;

use crate::content_store::ContentStore;
use crate::processing::Processor;

/// How much one request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of a file.
    pub file_bytes: usize,
    /// Bytes of all files of a request, with what is between them.
    pub request_bytes: usize,
    /// Files of a request.
    pub files: usize,
}

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) outbox: Outbox<Postgres>,
    pub(crate) store: ContentStore,
    pub(crate) processor: Processor,
    pub(crate) limits: UploadLimits,
    pub(crate) relay: RelayProgress,
}

pub(crate) fn router(app: App) -> Router {
    let limit = DefaultBodyLimit::max(app.limits.request_bytes);
    Router::new()
        .route(
            "/v1/batches/{batch_id}/files",
            get(files::list).post(files::upload),
        )
        .route(
            "/v1/batches/{batch_id}/files/{file_upload_id}",
            get(files::find).delete(files::remove),
        )
        .route("/health", get(health::health))
        .fallback(error::no_such_page)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(limit)
        .layer(middleware::from_fn(context::in_context))
        .with_state(Arc::new(app))
}
