//! Events of the Essay Lifecycle Service: which file became which essay.

use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::essay::EssayText;

/// A file's text has become an essay of its batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.els.essay.slot.assigned.v1",
    aggregate = "essay",
    key = essay_id,
    schema
)]
pub struct EssaySlotAssignedV1 {
    /// The batch.
    pub batch_id: String,
    /// The essay.
    pub essay_id: String,
    /// The upload.
    pub file_upload_id: Uuid,
    /// Where its text is stored.
    pub text_storage_id: String,
}

/// All texts of a batch are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.els.batch.essays.ready.v1",
    aggregate = "batch",
    key = batch_id,
    schema
)]
pub struct BatchEssaysReadyV1 {
    /// The batch.
    pub batch_id: String,
    /// Its essays.
    pub ready_essays: Vec<EssayText>,
}

/// The spelling of an essay is to be checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.essay.spellcheck.requested.v1",
    aggregate = "essay",
    key = essay_id,
    schema
)]
pub struct EssaySpellcheckRequestedV1 {
    /// The essay.
    pub essay_id: String,
    /// The batch.
    pub batch_id: String,
    /// Where its text is stored.
    pub text_storage_id: String,
    /// Its language, such as `sv`.
    pub language: String,
}
