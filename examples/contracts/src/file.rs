//! Events of the File Service: uploads and their texts.

use chrono::{DateTime, Utc};
use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ValidationErrorCode {
    /// Nothing, or nothing but white space.
    EmptyContent,
    /// Fewer characters than an essay has.
    ContentTooShort,
    /// More characters than are taken.
    ContentTooLong,
    /// The file itself could not be stored, or not be read again.
    RawStorageFailed,
    /// There is no text in it that could be read.
    TextExtractionFailed,
    /// It is protected by a password, or encrypted otherwise.
    EncryptedFileUnsupported,
    /// Something failed again and again that is not the file's fault, as far as is known.
    UnknownValidationError,
}

impl ValidationErrorCode {
    /// The code as it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyContent => "EMPTY_CONTENT",
            Self::ContentTooShort => "CONTENT_TOO_SHORT",
            Self::ContentTooLong => "CONTENT_TOO_LONG",
            Self::RawStorageFailed => "RAW_STORAGE_FAILED",
            Self::TextExtractionFailed => "TEXT_EXTRACTION_FAILED",
            Self::EncryptedFileUnsupported => "ENCRYPTED_FILE_UNSUPPORTED",
            Self::UnknownValidationError => "UNKNOWN_VALIDATION_ERROR",
        }
    }
}

/// What is wrong with a file, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValidationErrorDetail {
    /// A sentence.
    pub message: String,
    /// What was measured, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<u64>,
    /// What it was measured against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

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
