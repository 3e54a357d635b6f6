//! The transactions: which rows change together with which events.
//!
//! | transaction | rows | event |
//! | --- | --- | --- |
//! | [`start_job`] | job | – |
//! | [`complete_job`] | job: RUNNING → COMPLETED, rankings | `CJAssessmentCompletedV1` |
//! | [`fail_job`] | job: RUNNING → FAILED | `CJAssessmentFailedV1` |
//!
//! A job ends once. The outbox makes row and event one thing; that only one of several callers ends a job is due to the
//! condition on its row, `status = 'RUNNING'`.

use contracts::assessment::{CJAssessmentCompletedV1, CJAssessmentFailedV1, RankedEssay};
use outbox_runtime::transactional;
use service_kit::Tx;
use uuid::Uuid;

/// Why a transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum AssessmentError {
    /// The outbox refused an event, or the transaction could not be committed.
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A text cannot be read, maybe not yet.
    #[error("a text cannot be read")]
    Text(#[from] std::io::Error),
}

/// A job that runs.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job.
    pub id: String,
    /// Its batch.
    pub batch_id: String,
    /// The request that it is for.
    pub correlation_id: Uuid,
}

/// Starts the job of a batch; none if there is one already.
///
/// # Errors
/// See [`AssessmentError`].
#[transactional]
pub async fn start_job(
    tx: &mut Tx<'_>,
    batch_id: &str,
    correlation_id: Uuid,
) -> Result<Option<Job>, AssessmentError> {
    let job = Job {
        id: Uuid::now_v7().to_string(),
        batch_id: batch_id.to_owned(),
        correlation_id,
    };
    let started = sqlx::query(
        "INSERT INTO jobs (id, batch_id, correlation_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(&job.id)
    .bind(batch_id)
    .bind(correlation_id.to_string())
    .execute(&mut **tx)
    .await?;
    Ok((started.rows_affected() == 1).then_some(job))
}

/// Ends a job with its rankings. False if it had ended before: then nothing changes, and nothing is emitted.
///
/// # Errors
/// See [`AssessmentError`].
#[transactional]
pub async fn complete_job(
    tx: &mut Tx<'_>,
    job: &Job,
    rankings: &[RankedEssay],
    processing_seconds: f64,
) -> Result<bool, AssessmentError> {
    let completed = sqlx::query("UPDATE jobs SET status = 'COMPLETED' WHERE id = $1 AND status = 'RUNNING'")
        .bind(&job.id)
        .execute(&mut **tx)
        .await?;
    if completed.rows_affected() == 0 {
        return Ok(false);
    }
    for essay in rankings {
        sqlx::query("INSERT INTO rankings (job_id, essay_id, rank, score) VALUES ($1, $2, $3, $4)")
            .bind(&job.id)
            .bind(&essay.essay_id)
            .bind(i64::from(essay.rank))
            .bind(essay.score)
            .execute(&mut **tx)
            .await?;
    }
    tx.emit(CJAssessmentCompletedV1 {
        batch_id: job.batch_id.clone(),
        cj_assessment_job_id: job.id.clone(),
        rankings: rankings.to_vec(),
        processing_seconds,
        correlation_id: job.correlation_id,
    })?;
    Ok(true)
}

/// Ends a job that cannot be done. False if it had ended before.
///
/// # Errors
/// See [`AssessmentError`].
#[transactional]
pub async fn fail_job(
    tx: &mut Tx<'_>,
    job: &Job,
    error_code: &str,
    error_message: &str,
) -> Result<bool, AssessmentError> {
    let failed = sqlx::query(
        "UPDATE jobs SET status = 'FAILED', error_code = $2 WHERE id = $1 AND status = 'RUNNING'",
    )
    .bind(&job.id)
    .bind(error_code)
    .execute(&mut **tx)
    .await?;
    if failed.rows_affected() == 0 {
        return Ok(false);
    }
    tx.emit(CJAssessmentFailedV1 {
        batch_id: job.batch_id.clone(),
        cj_assessment_job_id: job.id.clone(),
        error_code: error_code.to_owned(),
        error_message: error_message.to_owned(),
        correlation_id: job.correlation_id,
    })?;
    Ok(true)
}
