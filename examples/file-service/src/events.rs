//! What the service tells the others: topics, keys and fields are a contract with them.

use chrono::{DateTime, Utc};
use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::validation::{ValidationErrorCode, ValidationErrorDetail};

/// A file's text is there to be assessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.file.essay.content.provisioned.v1",
    aggregate = "file_upload",
    key = file_upload_id,
    correlation_id = correlation_id,
    occurred_at = timestamp,
    schema
)]
pub struct EssayContentProvisionedV1 {
    /// The batch that the file was uploaded to.
    pub batch_id: String,
    /// The upload.
    pub file_upload_id: Uuid,
    /// The file's name, as its user had it.
    pub original_file_name: String,
    /// Where the file lies, byte for byte.
    pub raw_file_storage_id: String,
    /// Where its text lies, in UTF-8.
    pub text_storage_id: String,
    /// The file's size.
    pub file_size_bytes: i64,
    /// MD5 of the file, in hex.
    pub content_md5_hash: Option<String>,
    /// The request that it came with.
    pub correlation_id: Uuid,
    /// When the text was ready.
    pub timestamp: DateTime<Utc>,
}

/// A file cannot be assessed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.file.essay.validation.failed.v1",
    aggregate = "file_upload",
    key = file_upload_id,
    correlation_id = correlation_id,
    occurred_at = timestamp,
    schema
)]
pub struct EssayValidationFailedV1 {
    /// The batch that the file was uploaded to.
    pub batch_id: String,
    /// The upload.
    pub file_upload_id: Uuid,
    /// The file's name, as its user had it.
    pub original_file_name: String,
    /// Where the file lies; empty if it could not be stored.
    pub raw_file_storage_id: String,
    /// What is wrong with it, for programs.
    pub validation_error_code: ValidationErrorCode,
    /// What is wrong with it, for people.
    pub validation_error_detail: ValidationErrorDetail,
    /// The file's size.
    pub file_size_bytes: i64,
    /// The request that it came with.
    pub correlation_id: Uuid,
    /// When it was found.
    pub timestamp: DateTime<Utc>,
}

/// A file was added to a batch; its validation is still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.file.batch.file.added.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    occurred_at = timestamp,
    schema
)]
pub struct BatchFileAddedV1 {
    /// The batch.
    pub batch_id: String,
    /// The upload.
    pub file_upload_id: Uuid,
    /// The file's name, as its user had it.
    pub filename: String,
    /// Who added it.
    pub user_id: String,
    /// The request that it came with.
    pub correlation_id: Uuid,
    /// When it was added.
    pub timestamp: DateTime<Utc>,
}

/// A file was removed from a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.file.batch.file.removed.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    occurred_at = timestamp,
    schema
)]
pub struct BatchFileRemovedV1 {
    /// The batch.
    pub batch_id: String,
    /// The upload.
    pub file_upload_id: Uuid,
    /// The file's name, as its user had it.
    pub filename: String,
    /// Who removed it.
    pub user_id: String,
    /// The request that asked for it.
    pub correlation_id: Uuid,
    /// When it was removed.
    pub timestamp: DateTime<Utc>,
}
