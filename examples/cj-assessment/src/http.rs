//! The API: the ranking of a batch.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use contracts::assessment::RankedEssay;
use outbox_runtime::Outbox;
use serde::Serialize;
use service_kit::{ApiError, Db};

/// A job as it is answered.
#[derive(Debug, Serialize)]
struct Assessment {
    batch_id: String,
    status: String,
    rankings: Vec<RankedEssay>,
}

pub(crate) fn router(outbox: Outbox<Db>) -> Router {
    Router::new()
        .route("/v1/batches/{batch_id}", get(find))
        .with_state(outbox)
}

async fn find(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<String>,
) -> Result<Json<Assessment>, ApiError> {
    let internal = |error: sqlx::Error| ApiError::internal(&error);
    let status: Option<String> = sqlx::query_scalar("SELECT status FROM jobs WHERE batch_id = $1")
        .bind(&batch_id)
        .fetch_optional(outbox.pool())
        .await
        .map_err(internal)?;
    let status = status.ok_or_else(|| ApiError::not_found("there is no such batch"))?;
    let rows: Vec<(String, i64, f64)> = sqlx::query_as(
        "SELECT essay_id, rank, score FROM rankings JOIN jobs ON jobs.id = job_id WHERE batch_id = $1 ORDER BY rank",
    )
    .bind(&batch_id)
    .fetch_all(outbox.pool())
    .await
    .map_err(internal)?;
    let ranked = |(essay_id, rank, score)| RankedEssay {
        essay_id,
        rank: i32::try_from(rank).unwrap_or(i32::MAX),
        score,
    };
    Ok(Json(Assessment {
        batch_id,
        status,
        rankings: rows.into_iter().map(ranked).collect(),
    }))
}
