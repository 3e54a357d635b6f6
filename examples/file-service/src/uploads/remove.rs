//! A file is removed from its batch.

use outbox_runtime::{OutboxTx, transactional};
use sqlx::Postgres;
use uuid::Uuid;

use super::{Sender, UploadError, now};
use crate::events::BatchFileRemovedV1;

/// Deletes the upload of this batch and user, with its event.
///
/// # Errors
/// [`UploadError::NotFound`] if there is none; or the database or the outbox refuses it, or the commit's
/// outcome is unknown.
#[transactional]
pub async fn remove_upload(
    tx: &mut OutboxTx<'_, Postgres>,
    sender: &Sender,
    upload: Uuid,
) -> Result<(), UploadError> {
    let filename: Option<String> = sqlx::query_scalar(
        "DELETE FROM file_uploads WHERE id = $1 AND batch_id = $2 AND user_id = $3 RETURNING filename",
    )
    .bind(upload)
    .bind(&sender.batch_id)
    .bind(&sender.user_id)
    .fetch_optional(&mut **tx)
    .await?;
    tx.emit(BatchFileRemovedV1 {
        batch_id: sender.batch_id.clone(),
        file_upload_id: upload,
        filename: filename.ok_or(UploadError::NotFound)?,
        user_id: sender.user_id.clone(),
        correlation_id: sender.correlation_id,
        timestamp: now(),
    })?;
    Ok(())
}
