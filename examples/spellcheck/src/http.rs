//! The API: how the spelling of a batch's essays is.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use outbox_runtime::Outbox;
use serde::Serialize;
use service_kit::{ApiError, Db};

/// An essay as it is answered.
#[derive(Debug, Serialize)]
struct Checked {
    essay_id: String,
    status: String,
    word_count: i64,
    corrections: i64,
}

pub(crate) fn router(outbox: Outbox<Db>) -> Router {
    Router::new()
        .route("/v1/batches/{batch_id}", get(list))
        .with_state(outbox)
}

async fn list(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<String>,
) -> Result<Json<Vec<Checked>>, ApiError> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT essay_id, status, word_count, corrections FROM jobs WHERE batch_id = $1 ORDER BY essay_id",
    )
    .bind(&batch_id)
    .fetch_all(outbox.pool())
    .await
    .map_err(|error| ApiError::internal(&error))?;
    let checked = |(essay_id, status, word_count, corrections)| Checked {
        essay_id,
        status,
        word_count,
        corrections,
    };
    Ok(Json(rows.into_iter().map(checked).collect()))
}
