//! Events of the Result Aggregator Service.

use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::batch::{Outcome, Phase};

/// How a phase ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseResult {
    /// The phase.
    pub phase: Phase,
    /// How it ended.
    pub status: Outcome,
}

/// All results of a batch are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "huleedu.ras.batch.results.ready.v1",
    aggregate = "batch",
    key = batch_id,
    schema
)]
pub struct BatchResultsReadyV1 {
    /// The batch.
    pub batch_id: String,
    /// The teacher.
    pub user_id: String,
    /// Number of essays.
    pub total_essays: i32,
    /// Number of essays with a rank.
    pub completed_essays: i32,
    /// How the phases ended.
    pub phase_results: Vec<PhaseResult>,
    /// How the batch ended.
    pub overall_status: Outcome,
}
