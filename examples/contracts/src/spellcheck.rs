//! Events of the Spellcheck Service.

use chrono::{DateTime, Utc};
use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpellcheckStatus {
    /// The text was checked.
    Completed,
    /// The text could not be checked.
    Failed,
}

/// An essay's spelling was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.essay.spellcheck.completed.v1",
    aggregate = "essay",
    key = essay_id,
    correlation_id = correlation_id,
    occurred_at = timestamp,
    schema
)]
pub struct SpellcheckCompletedV1 {
    /// The essay.
    pub essay_id: String,
    /// The batch.
    pub batch_id: String,
    /// How it ended.
    pub status: SpellcheckStatus,
    /// Number of words that were corrected.
    pub corrections_made: i32,
    /// Number of words.
    pub word_count: i32,
    /// Where the text is stored as it was.
    pub original_text_storage_id: String,
    /// Where the corrected text is stored.
    pub corrected_text_storage_id: Option<String>,
    /// How long it took.
    pub processing_duration_ms: i64,
    /// The request that started it.
    pub correlation_id: Uuid,
    /// When it ended.
    pub timestamp: DateTime<Utc>,
}
