//! The transactions: which rows change together with which events.
//!
//! | transaction | rows | events |
//! | --- | --- | --- |
//! | [`register_batch`] | batch, essays | `BatchEssaysRegistered` |
//! | [`apply`] `ContentReady` | essays, batch → READY | – |
//! | [`apply`] `Start` | phase → DISPATCHED, batch | the phase's command |
//! | [`apply`] `PhaseCompleted` | phase → COMPLETED, essays, the next phase → DISPATCHED, batch | `BatchPhaseCompletedV1`, then the next phase's command |
//! | [`apply`] `PhaseFailed` | phase → FAILED, batch → FAILED | `BatchPipelineErrorV1` |
//! | [`receive_spellcheck`] | essay; for the last one as `PhaseCompleted` | as `PhaseCompleted` |

use std::time::{SystemTime, UNIX_EPOCH};

use contracts::EssayText;
use contracts::batch::{
    BatchCjAssessmentInitiateCommandV1, BatchEssaysRegistered, BatchPhaseCompletedV1, BatchPipelineErrorV1,
    BatchSpellcheckInitiateCommandV1, Outcome, Phase,
};
use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
use outbox_runtime::transactional;
use service_kit::Tx;
use uuid::Uuid;

use crate::machine::{Change, Command, Illegal, State, decide, phase_text};

/// Why a transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is no such batch.
    #[error("there is no such batch")]
    NotFound,
    /// The batch's state does not allow it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// A phase cannot be completed without an essay.
    #[error("no essay was processed: the phase has failed")]
    NothingProcessed,
    /// The row says what no batch is.
    #[error("the stored state of a batch is unknown: {0}")]
    Stored(String),
    /// The outbox refused an event, or the transaction could not be committed.
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A batch to register.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// The batch.
    pub batch_id: String,
    /// Its essays.
    pub essay_ids: Vec<String>,
    /// The teacher.
    pub user_id: String,
    /// The course.
    pub course_code: String,
    /// The essays' language, such as `sv`.
    pub language: String,
    /// What the essays are about.
    pub essay_instructions: String,
    /// The request.
    pub correlation_id: Uuid,
}

/// A batch's row.
struct Batch {
    id: String,
    state: State,
    course_code: String,
    language: String,
    correlation_id: Uuid,
}

/// Registers a batch and its essays. False if it was registered before: then nothing changes, and nothing is emitted.
///
/// # Errors
/// See [`BatchError`].
#[transactional]
pub async fn register_batch(tx: &mut Tx<'_>, batch: NewBatch) -> Result<bool, BatchError> {
    let expected = i32::try_from(batch.essay_ids.len()).unwrap_or(i32::MAX);
    let new = sqlx::query(
        "INSERT INTO batches (id, user_id, course_code, language, correlation_id, expected_essay_count)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(&batch.batch_id)
    .bind(&batch.user_id)
    .bind(&batch.course_code)
    .bind(&batch.language)
    .bind(batch.correlation_id.to_string())
    .bind(i64::from(expected))
    .execute(&mut **tx)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(false);
    }
    for essay_id in &batch.essay_ids {
        sqlx::query("INSERT INTO batch_essays (batch_id, essay_id) VALUES ($1, $2)")
            .bind(&batch.batch_id)
            .bind(essay_id)
            .execute(&mut **tx)
            .await?;
    }
    tx.emit(BatchEssaysRegistered {
        batch_id: batch.batch_id,
        expected_essay_count: expected,
        essay_ids: batch.essay_ids,
        course_code: batch.course_code,
        essay_instructions: batch.essay_instructions,
        user_id: batch.user_id,
        org_id: None,
        class_id: None,
        correlation_id: batch.correlation_id,
    })?;
    Ok(true)
}

/// Carries a command out: rows and events of all that it changes, or nothing if the state does not allow it.
///
/// # Errors
/// See [`BatchError`].
#[transactional]
pub async fn apply(tx: &mut Tx<'_>, batch_id: &str, command: Command) -> Result<(), BatchError> {
    let batch = lock_batch(tx, batch_id).await?;
    let change = decide(batch.state, &command)?;
    match (change, command) {
        (Change::Ready, Command::ContentReady(essays)) => receive_content(tx, &batch, &essays).await,
        (Change::Dispatch { done: None, next }, _) => dispatch(tx, &batch, next).await,
        (
            Change::Dispatch {
                done: Some(done),
                next,
            },
            Command::PhaseCompleted { failed_essay_ids, .. },
        ) => {
            complete_phase(tx, &batch, done, &failed_essay_ids).await?;
            dispatch(tx, &batch, next).await
        }
        (Change::Finish(done), Command::PhaseCompleted { failed_essay_ids, .. }) => {
            let outcome = complete_phase(tx, &batch, done, &failed_essay_ids).await?;
            let end = match outcome {
                Outcome::Completed => State::Completed,
                Outcome::CompletedWithFailures | Outcome::Failed => State::CompletedWithFailures,
            };
            set_state(tx, &batch, end).await
        }
        (
            Change::Fail(phase),
            Command::PhaseFailed {
                error_code,
                error_message,
                retryable,
                ..
            },
        ) => {
            end_phase(tx, &batch, phase, "FAILED").await?;
            set_state(tx, &batch, State::Failed).await?;
            tx.emit(BatchPipelineErrorV1 {
                batch_id: batch.id,
                phase,
                error_code,
                error_message,
                retryable,
                correlation_id: batch.correlation_id,
            })?;
            Ok(())
        }
        (change, command) => Err(BatchError::Stored(format!("{change:?} follows from {command:?}"))),
    }
}

/// Notes that an essay's spelling was checked; the last one completes the phase. Whatever does not fit the batch's state
/// changes nothing.
///
/// # Errors
/// See [`BatchError`].
#[transactional]
pub async fn receive_spellcheck(tx: &mut Tx<'_>, event: SpellcheckCompletedV1) -> Result<(), BatchError> {
    let batch = lock_batch(tx, &event.batch_id).await?;
    if batch.state != State::Processing(Phase::Spellcheck) {
        return Ok(());
    }
    let status = match event.status {
        SpellcheckStatus::Completed => "CHECKED",
        SpellcheckStatus::Failed => "FAILED",
    };
    sqlx::query(
        "UPDATE batch_essays SET status = $3, text_storage_id = coalesce($4, text_storage_id)
         WHERE batch_id = $1 AND essay_id = $2 AND status = 'PRESENT'",
    )
    .bind(&batch.id)
    .bind(&event.essay_id)
    .bind(status)
    .bind(&event.corrected_text_storage_id)
    .execute(&mut **tx)
    .await?;
    if !essays(tx, &batch, "PRESENT").await?.is_empty() {
        return Ok(());
    }
    let phase = Phase::Spellcheck;
    let command = match essays(tx, &batch, "CHECKED").await?.is_empty() {
        false => Command::PhaseCompleted {
            phase,
            failed_essay_ids: Vec::new(),
        },
        true => Command::PhaseFailed {
            phase,
            error_code: "ALL_ESSAYS_FAILED".to_owned(),
            error_message: "no essay could be checked".to_owned(),
            retryable: true,
        },
    };
    apply(&mut *tx, &batch.id, command).await
}

async fn receive_content(tx: &mut Tx<'_>, batch: &Batch, ready: &[EssayText]) -> Result<(), BatchError> {
    for essay in ready {
        sqlx::query(
            "UPDATE batch_essays SET status = 'PRESENT', text_storage_id = $3 WHERE batch_id = $1 AND essay_id = $2",
        )
        .bind(&batch.id)
        .bind(&essay.essay_id)
        .bind(&essay.text_storage_id)
        .execute(&mut **tx)
        .await?;
    }
    // The others will not come any more.
    sqlx::query("UPDATE batch_essays SET status = 'FAILED' WHERE batch_id = $1 AND status = 'EXPECTED'")
        .bind(&batch.id)
        .execute(&mut **tx)
        .await?;
    set_state(tx, batch, State::Ready).await
}

async fn dispatch(tx: &mut Tx<'_>, batch: &Batch, phase: Phase) -> Result<(), BatchError> {
    sqlx::query(
        "INSERT INTO batch_phases (batch_id, phase, status, started_at_ms) VALUES ($1, $2, 'DISPATCHED', $3)",
    )
    .bind(&batch.id)
    .bind(phase_text(phase))
    .bind(now_ms())
    .execute(&mut **tx)
    .await?;
    set_state(tx, batch, State::Processing(phase)).await?;
    let mut essays_to_process = essays(tx, batch, "CHECKED").await?;
    essays_to_process.extend(essays(tx, batch, "PRESENT").await?);
    let (batch_id, language, course_code) = (
        batch.id.clone(),
        batch.language.clone(),
        batch.course_code.clone(),
    );
    match phase {
        Phase::Spellcheck => tx.emit(BatchSpellcheckInitiateCommandV1 {
            batch_id,
            essays_to_process,
            language,
            course_code,
        })?,
        Phase::CjAssessment => tx.emit(BatchCjAssessmentInitiateCommandV1 {
            batch_id,
            essays_to_process,
            language,
            course_code,
        })?,
    };
    Ok(())
}

async fn complete_phase(
    tx: &mut Tx<'_>,
    batch: &Batch,
    phase: Phase,
    failed: &[String],
) -> Result<Outcome, BatchError> {
    for essay_id in failed {
        sqlx::query("UPDATE batch_essays SET status = 'FAILED' WHERE batch_id = $1 AND essay_id = $2")
            .bind(&batch.id)
            .bind(essay_id)
            .execute(&mut **tx)
            .await?;
    }
    end_phase(tx, batch, phase, "COMPLETED").await?;
    let ids = |essays: Vec<EssayText>| essays.into_iter().map(|essay| essay.essay_id).collect::<Vec<_>>();
    let mut processed_essay_ids = ids(essays(tx, batch, "CHECKED").await?);
    processed_essay_ids.extend(ids(essays(tx, batch, "PRESENT").await?));
    let failed_essay_ids = ids(essays(tx, batch, "FAILED").await?);
    if processed_essay_ids.is_empty() {
        return Err(BatchError::NothingProcessed);
    }
    let status = match failed_essay_ids.is_empty() {
        true => Outcome::Completed,
        false => Outcome::CompletedWithFailures,
    };
    tx.emit(BatchPhaseCompletedV1 {
        batch_id: batch.id.clone(),
        phase,
        status,
        processed_essay_ids,
        failed_essay_ids,
        correlation_id: batch.correlation_id,
    })?;
    Ok(status)
}

/// Reads a batch, which nobody else changes before this transaction ends.
async fn lock_batch(tx: &mut Tx<'_>, batch_id: &str) -> Result<Batch, BatchError> {
    type Row = (String, Option<String>, String, String, String);
    let row: Option<Row> = sqlx::query_as(
        "UPDATE batches SET status = status WHERE id = $1
         RETURNING status, current_phase, course_code, language, correlation_id",
    )
    .bind(batch_id)
    .fetch_optional(&mut **tx)
    .await?;
    let (status, phase, course_code, language, correlation_id) = row.ok_or(BatchError::NotFound)?;
    let state = State::from_columns(&status, phase.as_deref()).ok_or(BatchError::Stored(status))?;
    let correlation_id = correlation_id
        .parse()
        .map_err(|_| BatchError::Stored(correlation_id))?;
    Ok(Batch {
        id: batch_id.to_owned(),
        state,
        course_code,
        language,
        correlation_id,
    })
}

async fn set_state(tx: &mut Tx<'_>, batch: &Batch, state: State) -> Result<(), BatchError> {
    let (status, phase) = state.columns();
    sqlx::query("UPDATE batches SET status = $2, current_phase = $3 WHERE id = $1")
        .bind(&batch.id)
        .bind(status)
        .bind(phase)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn end_phase(tx: &mut Tx<'_>, batch: &Batch, phase: Phase, status: &str) -> Result<(), BatchError> {
    sqlx::query(
        "UPDATE batch_phases SET status = $3, completed_at_ms = $4 WHERE batch_id = $1 AND phase = $2",
    )
    .bind(&batch.id)
    .bind(phase_text(phase))
    .bind(status)
    .bind(now_ms())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn essays(tx: &mut Tx<'_>, batch: &Batch, status: &str) -> Result<Vec<EssayText>, BatchError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT essay_id, coalesce(text_storage_id, '') FROM batch_essays WHERE batch_id = $1 AND status = $2
         ORDER BY essay_id",
    )
    .bind(&batch.id)
    .bind(status)
    .fetch_all(&mut **tx)
    .await?;
    let essay = |(essay_id, text_storage_id)| EssayText {
        essay_id,
        text_storage_id,
    };
    Ok(rows.into_iter().map(essay).collect())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
