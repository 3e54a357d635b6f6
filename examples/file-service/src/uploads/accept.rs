//! Files are added to a batch.

use outbox_runtime::{EventContext, OutboxTx, transactional};
use sqlx::Postgres;
use uuid::Uuid;

use super::{UploadError, now};
use crate::events::BatchFileAddedV1;

/// Who adds files, to what, in which request.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The batch.
    pub batch_id: String,
    /// The user.
    pub user_id: String,
    /// The request.
    pub correlation_id: Uuid,
    /// Identifies a repeated request, if its sender gave it a key.
    pub request_key: Option<String>,
}

/// A file that has been received.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The upload's id.
    pub id: Uuid,
    /// The file's name.
    pub filename: String,
    /// Where it lies; none if it could not be stored.
    pub raw_storage_id: Option<String>,
    /// Its size.
    pub size_bytes: i64,
    /// MD5 of it, in hex.
    pub content_md5: Option<String>,
}

/// Inserts the uploads, with an event for each: all of them, or none. False if a request with this key has done so before:
/// then nothing changes, and nothing is emitted.
///
/// # Errors
/// The database or the outbox refuses one of them, or the commit's outcome is unknown.
#[transactional]
pub async fn accept_uploads(
    tx: &mut OutboxTx<'_, Postgres>,
    sender: &Sender,
    uploads: &[NewUpload],
) -> Result<bool, UploadError> {
    if !is_new(tx, sender, uploads).await? {
        return Ok(false);
    }
    // Processing happens later, maybe in another process: what its events say of this request is kept.
    let context = EventContext::current().unwrap_or_default();
    for upload in uploads {
        sqlx::query(
            "INSERT INTO file_uploads (id, batch_id, user_id, filename, raw_storage_id, size_bytes, content_md5,
                                       correlation_id, traceparent, tracestate)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(upload.id)
        .bind(&sender.batch_id)
        .bind(&sender.user_id)
        .bind(&upload.filename)
        .bind(&upload.raw_storage_id)
        .bind(upload.size_bytes)
        .bind(&upload.content_md5)
        .bind(sender.correlation_id)
        .bind(context.traceparent())
        .bind(context.tracestate())
        .execute(&mut **tx)
        .await?;
        tx.emit(BatchFileAddedV1 {
            batch_id: sender.batch_id.clone(),
            file_upload_id: upload.id,
            filename: upload.filename.clone(),
            user_id: sender.user_id.clone(),
            correlation_id: sender.correlation_id,
            timestamp: now(),
        })?;
    }
    Ok(true)
}

/// Notes a request by its key. Of two that come at the same time, one waits for the other.
async fn is_new(
    tx: &mut OutboxTx<'_, Postgres>,
    sender: &Sender,
    uploads: &[NewUpload],
) -> Result<bool, UploadError> {
    let Some(key) = &sender.request_key else {
        return Ok(true);
    };
    let ids: Vec<Uuid> = uploads.iter().map(|upload| upload.id).collect();
    let noted = sqlx::query(
        "INSERT INTO upload_requests (user_id, batch_id, request_key, upload_ids) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
    )
    .bind(&sender.user_id)
    .bind(&sender.batch_id)
    .bind(key)
    .bind(ids)
    .execute(&mut **tx)
    .await?;
    Ok(noted.rows_affected() == 1)
}
