//! The API: batches are registered and looked at.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use outbox_runtime::Outbox;
use serde::{Deserialize, Serialize};
use service_kit::{ApiError, Db};
use uuid::Uuid;

use crate::transactions::{NewBatch, register_batch};

/// The most essays of a batch.
const MOST_ESSAYS: usize = 500;

/// A batch as it is asked for.
#[derive(Debug, Deserialize)]
struct Registration {
    user_id: String,
    course_code: String,
    language: String,
    #[serde(default)]
    essay_instructions: String,
    expected_essay_count: usize,
}

/// A batch as it is answered.
#[derive(Debug, Serialize)]
struct Batch {
    batch_id: String,
    status: String,
    current_phase: Option<String>,
}

/// A batch that was registered.
#[derive(Debug, Serialize)]
struct Registered {
    batch_id: String,
    essay_ids: Vec<String>,
}

pub(crate) fn router(outbox: Outbox<Db>) -> Router {
    Router::new()
        .route("/v1/batches", post(register))
        .route("/v1/batches/{batch_id}", get(find).put(register_as))
        .with_state(outbox)
}

/// `POST /v1/batches`: with an id of the service's.
async fn register(
    State(outbox): State<Outbox<Db>>,
    Json(registration): Json<Registration>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    create(&outbox, Uuid::now_v7(), registration).await
}

/// `PUT /v1/batches/{batch_id}`: with an id of the caller's, who may send the request again.
async fn register_as(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<Uuid>,
    Json(registration): Json<Registration>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    create(&outbox, batch_id, registration).await
}

async fn create(
    outbox: &Outbox<Db>,
    batch_id: Uuid,
    registration: Registration,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let count = registration.expected_essay_count;
    if !(1..=MOST_ESSAYS).contains(&count) {
        let message = format!("`expected_essay_count` is {count}: write a number from 1 to {MOST_ESSAYS}");
        return Err(ApiError::bad_request(message));
    }
    let batch_id = batch_id.to_string();
    let essay_ids: Vec<String> = (0..count).map(|_| Uuid::now_v7().to_string()).collect();
    let batch = NewBatch {
        batch_id: batch_id.clone(),
        essay_ids: essay_ids.clone(),
        user_id: registration.user_id,
        course_code: registration.course_code,
        language: registration.language,
        essay_instructions: registration.essay_instructions,
        correlation_id: Uuid::now_v7(),
    };
    let registered = register_batch(outbox, batch).await;
    if registered.map_err(|error| ApiError::internal(&error))? {
        return Ok((StatusCode::CREATED, Json(Registered { batch_id, essay_ids })));
    }
    let essay_ids =
        sqlx::query_scalar("SELECT essay_id FROM batch_essays WHERE batch_id = $1 ORDER BY essay_id")
            .bind(&batch_id)
            .fetch_all(outbox.pool())
            .await
            .map_err(|error| ApiError::internal(&error))?;
    Ok((StatusCode::OK, Json(Registered { batch_id, essay_ids })))
}

async fn find(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<String>,
) -> Result<Json<Batch>, ApiError> {
    let found: Option<(String, Option<String>)> =
        sqlx::query_as("SELECT status, current_phase FROM batches WHERE id = $1")
            .bind(&batch_id)
            .fetch_optional(outbox.pool())
            .await
            .map_err(|error| ApiError::internal(&error))?;
    let (status, current_phase) = found.ok_or_else(|| ApiError::not_found("there is no such batch"))?;
    Ok(Json(Batch {
        batch_id,
        status,
        current_phase,
    }))
}
