//! The transaction: a job's row and `SpellcheckCompletedV1`.
//!
//! The inbox recognizes a message that comes again. The job's key recognizes a request that was sent twice.

use chrono::{DateTime, Utc};
use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
use outbox_runtime::transactional;
use service_kit::Tx;

/// Why a transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum SpellcheckError {
    /// The outbox refused an event, or the transaction could not be committed.
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A text cannot be read or written, maybe not yet.
    #[error("a text cannot be read or written")]
    Text(#[from] std::io::Error),
}

/// Ends the check of an essay, with this event. False if it had ended before: then nothing changes, and nothing is
/// emitted.
///
/// # Errors
/// See [`SpellcheckError`].
#[transactional]
pub async fn finish_check(tx: &mut Tx<'_>, event: SpellcheckCompletedV1) -> Result<bool, SpellcheckError> {
    let status = match event.status {
        SpellcheckStatus::Completed => "COMPLETED",
        SpellcheckStatus::Failed => "FAILED",
    };
    let finished = sqlx::query(
        "INSERT INTO jobs (batch_id, essay_id, status, word_count, corrections) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(&event.batch_id)
    .bind(&event.essay_id)
    .bind(status)
    .bind(i64::from(event.word_count))
    .bind(i64::from(event.corrections_made))
    .execute(&mut **tx)
    .await?;
    if finished.rows_affected() == 0 {
        return Ok(false);
    }
    tx.emit(event)?;
    Ok(true)
}

/// The time of an event, to the microsecond, as it is stored.
pub(crate) fn now() -> DateTime<Utc> {
    use chrono::SubsecRound;
    Utc::now().trunc_subsecs(6)
}
