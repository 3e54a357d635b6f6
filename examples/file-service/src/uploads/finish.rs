//! Processing ends: an upload is completed or failed, once.
//!
//! Both ends ask for a pending row. Whoever comes second, because a claim ran out or the upload was removed
//! meanwhile, changes nothing and emits nothing: an outbox makes row and event one, not two attempts.

use outbox_runtime::{OutboxTx, transactional};
use sqlx::Postgres;

use super::{ClaimedUpload, UploadError, now};
use crate::events::{EssayContentProvisionedV1, EssayValidationFailedV1};
use crate::validation::Refusal;

/// The text is there: COMPLETED, and the event that says where it lies. False if it was no longer pending.
///
/// # Errors
/// The database or the outbox refuses it, or the commit's outcome is unknown.
#[transactional]
pub async fn complete_upload(
    tx: &mut OutboxTx<'_, Postgres>,
    upload: &ClaimedUpload,
    text_storage_id: &str,
) -> Result<bool, UploadError> {
    let completed = sqlx::query(
        "UPDATE file_uploads SET status = 'COMPLETED', text_storage_id = $2, updated_at = now()
         WHERE id = $1 AND status = 'PENDING'",
    )
    .bind(upload.id)
    .bind(text_storage_id)
    .execute(&mut **tx)
    .await?;
    if completed.rows_affected() == 0 {
        return Ok(false);
    }
    tx.emit(EssayContentProvisionedV1 {
        batch_id: upload.batch_id.clone(),
        file_upload_id: upload.id,
        original_file_name: upload.filename.clone(),
        raw_file_storage_id: upload.raw_storage_id.clone().unwrap_or_default(),
        text_storage_id: text_storage_id.to_owned(),
        file_size_bytes: upload.size_bytes,
        content_md5_hash: upload.content_md5.clone(),
        correlation_id: upload.correlation_id,
        timestamp: now(),
    })?;
    Ok(true)
}

/// The file is refused: FAILED, and the event that says why. False if it was no longer pending.
///
/// # Errors
/// The database or the outbox refuses it, or the commit's outcome is unknown.
#[transactional]
pub async fn fail_upload(
    tx: &mut OutboxTx<'_, Postgres>,
    upload: &ClaimedUpload,
    refusal: &Refusal,
) -> Result<bool, UploadError> {
    let failed = sqlx::query(
        "UPDATE file_uploads SET status = 'FAILED', error_code = $2, error_detail = $3, updated_at = now()
         WHERE id = $1 AND status = 'PENDING'",
    )
    .bind(upload.id)
    .bind(refusal.code.as_str())
    .bind(sqlx::types::Json(&refusal.detail))
    .execute(&mut **tx)
    .await?;
    if failed.rows_affected() == 0 {
        return Ok(false);
    }
    tx.emit(EssayValidationFailedV1 {
        batch_id: upload.batch_id.clone(),
        file_upload_id: upload.id,
        original_file_name: upload.filename.clone(),
        raw_file_storage_id: upload.raw_storage_id.clone().unwrap_or_default(),
        validation_error_code: refusal.code,
        validation_error_detail: refusal.detail.clone(),
        file_size_bytes: upload.size_bytes,
        correlation_id: upload.correlation_id,
        timestamp: now(),
    })?;
    Ok(true)
}
