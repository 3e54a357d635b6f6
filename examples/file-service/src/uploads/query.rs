//! Where uploads stand. Reading needs no transaction of the outbox.

use sqlx::PgPool;
use uuid::Uuid;

use super::FileUpload;

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

/// Whether an upload is still there.
///
/// # Errors
/// The database's.
pub async fn upload_exists(pool: &PgPool, upload: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM file_uploads WHERE id = $1)")
        .bind(upload)
        .fetch_one(pool)
        .await
}
