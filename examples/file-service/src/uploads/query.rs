//! Where uploads stand. Reading needs no transaction of the outbox.

use sqlx::PgPool;
use uuid::Uuid;

use super::{FileUpload, Sender};

/// An upload of this batch and user.
///
/// # Errors
/// The database's.
pub async fn find_upload(
    pool: &PgPool,
    batch_id: &str,
    user_id: &str,
    upload: Uuid,
) -> sqlx::Result<Option<FileUpload>> {
    sqlx::query_as("SELECT * FROM file_uploads WHERE batch_id = $1 AND user_id = $2 AND id = $3")
        .bind(batch_id)
        .bind(user_id)
        .bind(upload)
        .fetch_optional(pool)
        .await
}

/// All uploads of this batch and user, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_uploads(pool: &PgPool, batch_id: &str, user_id: &str) -> sqlx::Result<Vec<FileUpload>> {
    sqlx::query_as("SELECT * FROM file_uploads WHERE batch_id = $1 AND user_id = $2 ORDER BY created_at, id")
        .bind(batch_id)
        .bind(user_id)
        .fetch_all(pool)
        .await
}

/// The uploads of an earlier request with this key that are still there, in the order of its form.
///
/// # Errors
/// The database's.
pub async fn list_request(pool: &PgPool, sender: &Sender) -> sqlx::Result<Vec<FileUpload>> {
    sqlx::query_as(
        "SELECT f.* FROM upload_requests r JOIN file_uploads f ON f.id = ANY (r.upload_ids)
         WHERE r.user_id = $1 AND r.batch_id = $2 AND r.request_key = $3
         ORDER BY array_position(r.upload_ids, f.id)",
    )
    .bind(&sender.user_id)
    .bind(&sender.batch_id)
    .bind(&sender.request_key)
    .fetch_all(pool)
    .await
}
