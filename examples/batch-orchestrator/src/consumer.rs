//! What the service reads, and which transaction each message is.
//!
//! A message that does not fit the batch's state, such as a second completion, is noted as processed and changes nothing.

use contracts::assessment::{CJAssessmentCompletedV1, CJAssessmentFailedV1};
use contracts::batch::Phase;
use contracts::lifecycle::BatchEssaysReadyV1;
use contracts::spellcheck::SpellcheckCompletedV1;
use outbox_runtime::consumer::ConsumerBuilder;
use outbox_runtime::{Consumer, InboxMessage, Outbox};
use service_kit::{Db, Tx};

use crate::machine::Command;
use crate::transactions::{BatchError, apply, receive_spellcheck};

/// The consumer. Each handler runs in the transaction in which the inbox notes its message.
pub fn consumer(outbox: &Outbox<Db>, brokers: &str) -> ConsumerBuilder<Db> {
    Consumer::builder(outbox, brokers, "batch-orchestrator")
        .topic("huleedu.els.batch.essays.ready.v1")
        .topic("huleedu.essay.spellcheck.completed.v1")
        .topic("huleedu.cj_assessment.completed.v1")
        .topic("huleedu.cj_assessment.failed.v1")
        .on("BatchEssaysReadyV1", essays_ready)
        .on("SpellcheckCompletedV1", spellcheck_completed)
        .on("CJAssessmentCompletedV1", assessment_completed)
        .on("CJAssessmentFailedV1", assessment_failed)
}

async fn essays_ready(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: BatchEssaysReadyV1,
) -> Result<(), BatchError> {
    let batch_id = event.batch_id;
    let empty = event.ready_essays.is_empty();
    if !obey(tx, &batch_id, Command::ContentReady(event.ready_essays)).await? {
        return Ok(());
    }
    obey(tx, &batch_id, Command::Start).await?;
    if empty {
        obey(
            tx,
            &batch_id,
            failed(Phase::Spellcheck, "NO_ESSAYS", "no file of the batch has a text"),
        )
        .await?;
    }
    Ok(())
}

async fn spellcheck_completed(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: SpellcheckCompletedV1,
) -> Result<(), BatchError> {
    receive_spellcheck(&mut *tx, event).await
}

async fn assessment_completed(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: CJAssessmentCompletedV1,
) -> Result<(), BatchError> {
    let command = Command::PhaseCompleted {
        phase: Phase::CjAssessment,
        failed_essay_ids: Vec::new(),
    };
    obey(tx, &event.batch_id, command).await.map(drop)
}

async fn assessment_failed(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: CJAssessmentFailedV1,
) -> Result<(), BatchError> {
    let command = failed(Phase::CjAssessment, &event.error_code, &event.error_message);
    obey(tx, &event.batch_id, command).await.map(drop)
}

fn failed(phase: Phase, error_code: &str, error_message: &str) -> Command {
    Command::PhaseFailed {
        phase,
        error_code: error_code.to_owned(),
        error_message: error_message.to_owned(),
        retryable: false,
    }
}

/// Whether the command was carried out. The savepoint takes back what a refused one had begun.
async fn obey(tx: &mut Tx<'_>, batch_id: &str, command: Command) -> Result<bool, BatchError> {
    let obeyed = tx
        .savepoint(async |tx| apply(&mut *tx, batch_id, command).await)
        .await;
    match obeyed {
        Ok(()) => Ok(true),
        Err(BatchError::Illegal(illegal)) => {
            tracing::info!(batch_id, %illegal, "a message changes nothing");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
