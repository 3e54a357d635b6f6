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
use super::context::{CorrelationId, RequestKey, UserId};
use super::error::ApiError;
use super::form;
use crate::uploads::{
    FileUpload, NewUpload, Sender, UploadStatus, accept_uploads, find_upload, list_request, list_uploads,
    remove_upload,
};

/// A file that was taken.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    file_upload_id: Uuid,
    filename: String,
    status: UploadStatus,
}

impl From<NewUpload> for Accepted {
    fn from(upload: NewUpload) -> Self {
        Self {
            file_upload_id: upload.id,
            filename: upload.filename,
            status: UploadStatus::Pending,
        }
    }
}

impl From<FileUpload> for Accepted {
    fn from(upload: FileUpload) -> Self {
        Self {
            file_upload_id: upload.id,
            filename: upload.filename,
            status: upload.status,
        }
    }
}

/// The files that were taken.
#[derive(Debug, Serialize)]
pub(super) struct AcceptedBatch {
    batch_id: String,
    correlation_id: Uuid,
    files: Vec<Accepted>,
}

/// `POST …/files`: takes the files of a form, all or none. A request whose key is known is answered with what the first one
/// has uploaded.
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    batch: Result<Path<String>, PathRejection>,
    UserId(user_id): UserId,
    CorrelationId(correlation_id): CorrelationId,
    RequestKey(request_key): RequestKey,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Json<AcceptedBatch>), ApiError> {
    let sender = Sender {
        batch_id: batch_id(batch?.0)?,
        user_id,
        correlation_id,
        request_key,
    };
    let form = form.map_err(|rejection| ApiError::bad_request("INVALID_FORM", rejection.body_text()))?;
    let uploads = form::receive(&app, form).await?;
    let uploads = match accept_uploads(&app.outbox, &sender, &uploads).await? {
        true => uploads.into_iter().map(Accepted::from).collect(),
        false => {
            let earlier = list_request(app.outbox.pool(), &sender).await?;
            earlier.into_iter().map(Accepted::from).collect()
        }
    };
    app.processor.notify();
    let accepted = AcceptedBatch {
        batch_id: sender.batch_id,
        correlation_id,
        files: uploads,
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
        request_key: None,
    };
    remove_upload(&app.outbox, &sender, upload).await?;
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
