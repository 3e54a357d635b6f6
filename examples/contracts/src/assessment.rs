//! Events of the CJ Assessment Service: essays ranked by comparative judgement.

use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An essay's place in the ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankedEssay {
    /// The essay.
    pub essay_id: String,
    /// Its rank: 1 is the best.
    pub rank: i32,
    /// Its strength on a logarithmic scale; the mean of a batch is 0.
    pub score: f64,
}

/// The essays of a batch were ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.cj_assessment.completed.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    schema
)]
pub struct CJAssessmentCompletedV1 {
    /// The batch.
    pub batch_id: String,
    /// The job.
    pub cj_assessment_job_id: String,
    /// The essays, best first.
    pub rankings: Vec<RankedEssay>,
    /// How long it took.
    pub processing_seconds: f64,
    /// The request that started it.
    pub correlation_id: Uuid,
}

/// The essays of a batch could not be ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.cj_assessment.failed.v1",
    aggregate = "batch",
    key = batch_id,
    correlation_id = correlation_id,
    schema
)]
pub struct CJAssessmentFailedV1 {
    /// The batch.
    pub batch_id: String,
    /// The job.
    pub cj_assessment_job_id: String,
    /// What went wrong, for programs.
    pub error_code: String,
    /// What went wrong, for people.
    pub error_message: String,
    /// The request that started it.
    pub correlation_id: Uuid,
}
