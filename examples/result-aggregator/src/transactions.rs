//! The transactions: which rows change together with which event.
//!
//! Each message changes the rows of its own kind. Messages of different topics come in any order, so each of them may be
//! the last one: then the same transaction ends the batch with `BatchResultsReadyV1`.

use contracts::aggregation::BatchResultsReadyV1;
use contracts::assessment::CJAssessmentCompletedV1;
use contracts::batch::{BatchEssaysRegistered, BatchPhaseCompletedV1, BatchPipelineErrorV1, Outcome, Phase};
use contracts::spellcheck::SpellcheckCompletedV1;
use outbox_runtime::transactional;
use service_kit::Tx;

use crate::rows::{create_essay, insert_phase, lock_batch, outcome_text, phases};

/// Why a transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The outbox refused an event, or the transaction could not be committed.
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Notes whose batch it is, and how many essays it has.
///
/// # Errors
/// See [`ResultError`].
#[transactional]
pub async fn register_batch(tx: &mut Tx<'_>, event: BatchEssaysRegistered) -> Result<(), ResultError> {
    lock_batch(tx, &event.batch_id).await?;
    sqlx::query("UPDATE batch_results SET user_id = $2, total_essays = $3 WHERE batch_id = $1")
        .bind(&event.batch_id)
        .bind(&event.user_id)
        .bind(i64::from(event.expected_essay_count))
        .execute(&mut **tx)
        .await?;
    finish(tx, &event.batch_id).await
}

/// Notes how a phase ended, and which results have to come.
///
/// # Errors
/// See [`ResultError`].
#[transactional]
pub async fn receive_phase(tx: &mut Tx<'_>, event: BatchPhaseCompletedV1) -> Result<(), ResultError> {
    lock_batch(tx, &event.batch_id).await?;
    insert_phase(tx, &event.batch_id, event.phase, event.status).await?;
    if event.phase == Phase::Spellcheck {
        for essay_id in &event.processed_essay_ids {
            create_essay(tx, &event.batch_id, essay_id).await?;
            sqlx::query("UPDATE essay_results SET awaited = 1 WHERE batch_id = $1 AND essay_id = $2")
                .bind(&event.batch_id)
                .bind(essay_id)
                .execute(&mut **tx)
                .await?;
        }
    }
    finish(tx, &event.batch_id).await
}

/// Notes that a phase failed, and the batch with it.
///
/// # Errors
/// See [`ResultError`].
#[transactional]
pub async fn receive_error(tx: &mut Tx<'_>, event: BatchPipelineErrorV1) -> Result<(), ResultError> {
    lock_batch(tx, &event.batch_id).await?;
    insert_phase(tx, &event.batch_id, event.phase, Outcome::Failed).await?;
    finish(tx, &event.batch_id).await
}

/// Notes an essay's spelling.
///
/// # Errors
/// See [`ResultError`].
#[transactional]
pub async fn receive_spellcheck(tx: &mut Tx<'_>, event: SpellcheckCompletedV1) -> Result<(), ResultError> {
    lock_batch(tx, &event.batch_id).await?;
    create_essay(tx, &event.batch_id, &event.essay_id).await?;
    sqlx::query(
        "UPDATE essay_results SET word_count = $3, corrections = $4 WHERE batch_id = $1 AND essay_id = $2",
    )
    .bind(&event.batch_id)
    .bind(&event.essay_id)
    .bind(i64::from(event.word_count))
    .bind(i64::from(event.corrections_made))
    .execute(&mut **tx)
    .await?;
    finish(tx, &event.batch_id).await
}

/// Notes the ranks of a batch.
///
/// # Errors
/// See [`ResultError`].
#[transactional]
pub async fn receive_ranking(tx: &mut Tx<'_>, event: CJAssessmentCompletedV1) -> Result<(), ResultError> {
    lock_batch(tx, &event.batch_id).await?;
    for essay in &event.rankings {
        create_essay(tx, &event.batch_id, &essay.essay_id).await?;
        sqlx::query("UPDATE essay_results SET rank = $3, score = $4 WHERE batch_id = $1 AND essay_id = $2")
            .bind(&event.batch_id)
            .bind(&essay.essay_id)
            .bind(i64::from(essay.rank))
            .bind(essay.score)
            .execute(&mut **tx)
            .await?;
    }
    sqlx::query("UPDATE batch_results SET ranked = $2 WHERE batch_id = $1")
        .bind(&event.batch_id)
        .bind(i64::try_from(event.rankings.len()).unwrap_or(i64::MAX))
        .execute(&mut **tx)
        .await?;
    finish(tx, &event.batch_id).await
}

/// Ends a batch whose results are all there, once.
async fn finish(tx: &mut Tx<'_>, batch_id: &str) -> Result<(), ResultError> {
    type Row = (Option<String>, Option<i64>, Option<i64>, i64);
    let (user_id, total, ranked, missing): Row = sqlx::query_as(
        "SELECT user_id, total_essays, ranked,
                (SELECT count(*) FROM essay_results e
                 WHERE e.batch_id = b.batch_id AND awaited = 1 AND word_count IS NULL)
         FROM batch_results b WHERE batch_id = $1",
    )
    .bind(batch_id)
    .fetch_one(&mut **tx)
    .await?;
    let (Some(user_id), Some(total)) = (user_id, total) else {
        return Ok(());
    };
    let phase_results = phases(tx, batch_id).await?;
    let failed = phase_results.iter().any(|phase| phase.status == Outcome::Failed);
    let complete = phase_results.len() == 2 && ranked.is_some() && missing == 0;
    if !failed && !complete {
        return Ok(());
    }
    let ranked = ranked.unwrap_or_default();
    let overall_status = match (failed, ranked == total) {
        (true, _) => Outcome::Failed,
        (false, true) => Outcome::Completed,
        (false, false) => Outcome::CompletedWithFailures,
    };
    let ended = sqlx::query("UPDATE batch_results SET status = $2 WHERE batch_id = $1 AND status IS NULL")
        .bind(batch_id)
        .bind(outcome_text(overall_status))
        .execute(&mut **tx)
        .await?;
    if ended.rows_affected() == 1 {
        tx.emit(BatchResultsReadyV1 {
            batch_id: batch_id.to_owned(),
            user_id,
            total_essays: i32::try_from(total).unwrap_or(i32::MAX),
            completed_essays: i32::try_from(ranked).unwrap_or(i32::MAX),
            phase_results,
            overall_status,
        })?;
    }
    Ok(())
}
