//! An upload is taken for processing, by one worker of all replicas at a time.
//!
//! A claim is a time in the row until which nobody else takes it. A worker that dies says nothing, and its
//! claim runs out: that is how uploads survive a restart. A worker that is merely slow may be overtaken; the
//! end of processing is decided by the row's status, once.

use std::time::Duration;

use outbox_runtime::EventContext;
use sqlx::PgPool;
use uuid::Uuid;

/// An upload that its holder may process.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ClaimedUpload {
    /// The upload's id.
    pub id: Uuid,
    /// The batch that it belongs to.
    pub batch_id: String,
    /// The file's name.
    pub filename: String,
    /// Where the file lies; none if it could not be stored.
    pub raw_storage_id: Option<String>,
    /// The file's size.
    pub size_bytes: i64,
    /// MD5 of the file, in hex.
    pub content_md5: Option<String>,
    /// The request that it came with.
    pub correlation_id: Uuid,
    /// How often its processing was begun, this time included.
    pub attempts: i32,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl ClaimedUpload {
    /// The context of the request that it came with.
    pub fn context(&self) -> EventContext {
        super::trace(self.traceparent.as_deref(), self.tracestate.as_deref())
            .correlation_id(self.correlation_id.to_string())
    }
}

/// Takes the upload that has waited longest, for so long. None if there is nothing to do.
///
/// # Errors
/// The database's.
pub async fn claim_upload(pool: &PgPool, claim: Duration) -> sqlx::Result<Option<ClaimedUpload>> {
    sqlx::query_as(
        "UPDATE file_uploads
         SET attempts = attempts + 1, claimed_until = now() + make_interval(secs => $1), updated_at = now()
         WHERE id = (
             SELECT id FROM file_uploads WHERE status = 'PENDING' AND claimed_until <= now()
             ORDER BY claimed_until FOR UPDATE SKIP LOCKED LIMIT 1
         )
         RETURNING id, batch_id, filename, raw_storage_id, size_bytes, content_md5, correlation_id, attempts,
                   traceparent, tracestate",
    )
    .bind(claim.as_secs_f64())
    .fetch_optional(pool)
    .await
}

/// Gives a claim back after a failure, for another attempt after a pause.
///
/// # Errors
/// The database's; then the claim runs out by itself.
pub async fn release_upload(pool: &PgPool, upload: &ClaimedUpload, pause: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE file_uploads SET claimed_until = now() + make_interval(secs => $3)
         WHERE id = $1 AND attempts = $2 AND status = 'PENDING'",
    )
    .bind(upload.id)
    .bind(upload.attempts)
    .bind(pause.as_secs_f64())
    .execute(pool)
    .await
    .map(drop)
}
