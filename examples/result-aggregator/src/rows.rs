//! The rows, and what is read of them.

use contracts::aggregation::PhaseResult;
use contracts::batch::{Outcome, Phase};
use service_kit::Tx;

/// The rows of a batch, which nobody else changes before this transaction ends. Creates the batch's row.
pub(crate) async fn lock_batch(tx: &mut Tx<'_>, batch_id: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO batch_results (batch_id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(batch_id)
        .execute(&mut **tx)
        .await?;
    sqlx::query("UPDATE batch_results SET batch_id = batch_id WHERE batch_id = $1")
        .bind(batch_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Creates an essay's row, if it is not there.
pub(crate) async fn create_essay(tx: &mut Tx<'_>, batch_id: &str, essay_id: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO essay_results (batch_id, essay_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(batch_id)
        .bind(essay_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Notes how a phase ended.
pub(crate) async fn insert_phase(
    tx: &mut Tx<'_>,
    batch_id: &str,
    phase: Phase,
    status: Outcome,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO phase_results (batch_id, phase, status) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(batch_id)
    .bind(phase_text(phase))
    .bind(outcome_text(status))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How the phases ended, the first one first.
pub(crate) async fn phases(tx: &mut Tx<'_>, batch_id: &str) -> sqlx::Result<Vec<PhaseResult>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT phase, status FROM phase_results WHERE batch_id = $1")
            .bind(batch_id)
            .fetch_all(&mut **tx)
            .await?;
    let found = |phase: Phase| {
        let (_, status) = rows.iter().find(|(name, _)| name == phase_text(phase))?;
        let outcomes = [
            Outcome::Completed,
            Outcome::CompletedWithFailures,
            Outcome::Failed,
        ];
        let status = outcomes
            .into_iter()
            .find(|outcome| outcome_text(*outcome) == status)?;
        Some(PhaseResult { phase, status })
    };
    Ok([Phase::Spellcheck, Phase::CjAssessment]
        .into_iter()
        .filter_map(found)
        .collect())
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Spellcheck => "spellcheck",
        Phase::CjAssessment => "cj_assessment",
    }
}

pub(crate) fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "COMPLETED",
        Outcome::CompletedWithFailures => "COMPLETED_WITH_FAILURES",
        Outcome::Failed => "FAILED",
    }
}
