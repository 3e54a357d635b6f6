//! The files of a batch.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::rejection::PathRejection;
use axum::extract::{Multipart, Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::App;
use super::context::{CorrelationId, UserId};
use super::error::{ApiError, may_be_committed};
use super::form;
use crate::uploads::{
    FileUpload, Sender, UploadStatus, accept_uploads, find_upload, list_uploads, remove_upload,
};

/// A file that was taken.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    file_upload_id: Uuid,
    filename: String,
    status: UploadStatus,
}

/// The files that were taken.
#[derive(Debug, Serialize)]
pub(super) struct AcceptedBatch {
    batch_id: String,
    correlation_id: Uuid,
    files: Vec<Accepted>,
}

/// `POST …/files`: takes the files of a form, all or none.
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    batch: Result<Path<String>, PathRejection>,
    UserId(user_id): UserId,
    CorrelationId(correlation_id): CorrelationId,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Json<AcceptedBatch>), ApiError> {
    let sender = Sender {
        batch_id: batch_id(batch?.0)?,
        user_id,
        correlation_id,
    };
    let form = form.map_err(|rejection| ApiError::bad_request("INVALID_FORM", rejection.body_text()))?;
    let uploads = form::receive(&app, form).await?;
    if let Err(error) = accept_uploads(&app.outbox, &sender, &uploads).await {
        if !may_be_committed(&error) {
            form::discard(&app.store, &uploads).await;
        }
        return Err(error.into());
    }
    app.processor.notify();
    let accepted = AcceptedBatch {
        batch_id: sender.batch_id,
        correlation_id,
        files: uploads
            .into_iter()
            .map(|upload| Accepted {
                file_upload_id: upload.id,
                filename: upload.filename,
                status: UploadStatus::Pending,
            })
            .collect(),
    };
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// `GET …/files`: where the user's files of a batch stand.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    batch: Result<Path<String>, PathRejection>,
    UserId(user): UserId,
) -> Result<Json<Vec<FileUpload>>, ApiError> {
    let batch = batch_id(batch?.0)?;
    Ok(Json(list_uploads(app.outbox.pool(), &batch, &user).await?))
}

/// `GET …/files/{file_upload_id}`: where a file stands.
pub(super) async fn find(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, Uuid)>, PathRejection>,
    UserId(user): UserId,
) -> Result<Json<FileUpload>, ApiError> {
    let Path((batch, upload)) = path?;
    let found = find_upload(app.outbox.pool(), &batch_id(batch)?, &user, upload).await?;
    found.map(Json).ok_or_else(ApiError::no_such_upload)
}

/// `DELETE …/files/{file_upload_id}`: removes a file, processed or not.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, Uuid)>, PathRejection>,
    UserId(user_id): UserId,
    CorrelationId(correlation_id): CorrelationId,
) -> Result<StatusCode, ApiError> {
    let Path((batch, upload)) = path?;
    let sender = Sender {
        batch_id: batch_id(batch)?,
        user_id,
        correlation_id,
    };
    remove_upload(&app.outbox, &sender, upload).await?;
    app.store.remove(upload).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A batch's id is a Kafka key and stands in texts: nothing that is unreadable there.
fn batch_id(given: String) -> Result<String, ApiError> {
    if given.len() <= 255 && !given.trim().is_empty() && !given.chars().any(char::is_control) {
        Ok(given)
    } else {
        let message = "a batch's id has 1 to 255 bytes and no control characters";
        Err(ApiError::bad_request("INVALID_BATCH_ID", message))
    }
}
