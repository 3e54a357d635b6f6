//! Uploads: rows, and the transactions that change them together with their events.

mod accept;
mod claim;
mod finish;
mod query;
mod remove;

use chrono::{DateTime, SubsecRound, Utc};
use outbox_runtime::EventContext;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use accept::{NewUpload, Sender, accept_uploads};
pub use claim::{ClaimedUpload, claim_upload, release_upload};
pub use finish::{complete_upload, fail_upload};
pub use query::{find_upload, list_request, list_uploads};
pub use remove::remove_upload;

use crate::validation::ValidationErrorDetail;

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UploadStatus {
    /// It was taken, and its text is not there yet.
    Pending,
    /// Its text is there.
    Completed,
    /// It was refused.
    Failed,
}

/// An upload as its user sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct FileUpload {
    /// The upload's id.
    #[serde(rename = "file_upload_id")]
    pub id: Uuid,
    /// The batch that it belongs to.
    pub batch_id: String,
    /// The file's name, as its user had it.
    pub filename: String,
    /// Where it stands.
    pub status: UploadStatus,
    /// The file's size.
    pub size_bytes: i64,
    /// MD5 of the file, in hex.
    pub content_md5: Option<String>,
    /// Where its text lies, once it is there.
    pub text_storage_id: Option<String>,
    /// Why it was refused, for programs.
    pub error_code: Option<String>,
    /// Why it was refused, for people.
    #[sqlx(json(nullable))]
    pub error_detail: Option<ValidationErrorDetail>,
    /// The request that it came with.
    pub correlation_id: Uuid,
    /// When it was taken.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Why a change of uploads was not made.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The upload is not there, or belongs to somebody else.
    #[error("there is no such upload")]
    NotFound,
    /// The outbox refused an event, or the transaction could not be committed.
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The time of an event, to the microsecond: many readers accept no more digits.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// The trace of the request that an upload came with, as its row keeps it.
fn trace(traceparent: Option<&str>, tracestate: Option<&str>) -> EventContext {
    match traceparent {
        Some(traceparent) => EventContext::new().trace(traceparent, tracestate),
        None => EventContext::new(),
    }
}
