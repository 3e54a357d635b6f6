//! The API: where a batch stands.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use outbox_runtime::Outbox;
use serde::Serialize;
use service_kit::{ApiError, Db};

/// A batch as it is answered.
#[derive(Debug, Serialize)]
struct Batch {
    batch_id: String,
    status: String,
    slots: i64,
    filled: i64,
}

pub(crate) fn router(outbox: Outbox<Db>) -> Router {
    Router::new()
        .route("/v1/batches/{batch_id}", get(find))
        .with_state(outbox)
}

async fn find(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<String>,
) -> Result<Json<Batch>, ApiError> {
    let found: Option<(String, i64, i64)> = sqlx::query_as(
        "SELECT b.status, count(s.essay_id), count(s.file_upload_id)
         FROM batches b LEFT JOIN slots s ON s.batch_id = b.batch_id WHERE b.batch_id = $1 AND b.status <> 'UNREGISTERED' GROUP BY b.status",
    )
    .bind(&batch_id)
    .fetch_optional(outbox.pool())
    .await
    .map_err(|error| ApiError::internal(&error))?;
    let (status, slots, filled) = found.ok_or_else(|| ApiError::not_found("there is no such batch"))?;
    Ok(Json(Batch {
        batch_id,
        status,
        slots,
        filled,
    }))
}
