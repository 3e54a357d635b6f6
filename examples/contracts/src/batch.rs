//! Events of the Batch Orchestrator: batches and their phases.

use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::essay::EssayText;

/// A phase of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The essays' spelling is checked.
    Spellcheck,
    /// The essays are ranked by comparative judgement.
    CjAssessment,
}

/// How a phase ended, or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was processed.
    Completed,
    /// Some essays were not processed.
    CompletedWithFailures,
    /// Nothing was processed.
    Failed,
}

/// A batch was registered, with an id for each essay that is to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.batch.essays.registered.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    schema
)]
pub struct BatchEssaysRegistered {
    /// The batch.
    pub batch_id: String,
    /// Number of essays.
    pub expected_essay_count: i32,
    /// An id for each essay.
    pub essay_ids: Vec<String>,
    /// The course.
    pub course_code: String,
    /// What the essays are about.
    pub essay_instructions: String,
    /// The teacher.
    pub user_id: String,
    /// The school.
    pub org_id: Option<String>,
    /// The class.
    pub class_id: Option<String>,
    /// The request that started it.
    pub correlation_id: Uuid,
}

/// A phase ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.batch.phase.completed.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    schema
)]
pub struct BatchPhaseCompletedV1 {
    /// The batch.
    pub batch_id: String,
    /// The phase.
    pub phase: Phase,
    /// How it ended.
    pub status: Outcome,
    /// Essays that were processed.
    pub processed_essay_ids: Vec<String>,
    /// Essays that were not.
    pub failed_essay_ids: Vec<String>,
    /// The request that started it.
    pub correlation_id: Uuid,
}

/// A phase failed, and the batch with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.batch.pipeline.error.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    schema
)]
pub struct BatchPipelineErrorV1 {
    /// The batch.
    pub batch_id: String,
    /// The phase.
    pub phase: Phase,
    /// What went wrong, for programs.
    pub error_code: String,
    /// What went wrong, for people.
    pub error_message: String,
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// The request that started it.
    pub correlation_id: Uuid,
}

/// The spelling of these essays is to be checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.els.spellcheck.initiate.command.v1",
    aggregate = "batch",
    key = batch_id,
    schema
)]
pub struct BatchSpellcheckInitiateCommandV1 {
    /// The batch.
    pub batch_id: String,
    /// The essays.
    pub essays_to_process: Vec<EssayText>,
    /// Their language, such as `sv`.
    pub language: String,
    /// The course.
    pub course_code: String,
}

/// These essays are to be ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.batch.cj_assessment.initiate.command.v1",
    aggregate = "batch",
    key = batch_id,
    schema
)]
pub struct BatchCjAssessmentInitiateCommandV1 {
    /// The batch.
    pub batch_id: String,
    /// The essays.
    pub essays_to_process: Vec<EssayText>,
    /// Their language, such as `sv`.
    pub language: String,
    /// The course.
    pub course_code: String,
}
