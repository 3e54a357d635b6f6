//! What the service reads, and which transaction each message is.

use contracts::assessment::CJAssessmentCompletedV1;
use contracts::batch::{BatchEssaysRegistered, BatchPhaseCompletedV1, BatchPipelineErrorV1};
use contracts::spellcheck::SpellcheckCompletedV1;
use outbox_runtime::consumer::ConsumerBuilder;
use outbox_runtime::{Consumer, InboxMessage, Outbox};
use service_kit::{Db, Tx};

use crate::transactions::{self, ResultError};

/// The consumer. Each handler runs in the transaction in which the inbox notes its message.
pub fn consumer(outbox: &Outbox<Db>, brokers: &str) -> ConsumerBuilder<Db> {
    Consumer::builder(outbox, brokers, "result-aggregator")
        .topic("huleedu.batch.essays.registered.v1")
        .topic("huleedu.batch.phase.completed.v1")
        .topic("huleedu.batch.pipeline.error.v1")
        .topic("huleedu.essay.spellcheck.completed.v1")
        .topic("huleedu.cj_assessment.completed.v1")
        .on("BatchEssaysRegistered", registered)
        .on("BatchPhaseCompletedV1", phase_completed)
        .on("BatchPipelineErrorV1", pipeline_failed)
        .on("SpellcheckCompletedV1", checked)
        .on("CJAssessmentCompletedV1", ranked)
}

async fn registered(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: BatchEssaysRegistered,
) -> Result<(), ResultError> {
    transactions::register_batch(&mut *tx, event).await
}

async fn phase_completed(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: BatchPhaseCompletedV1,
) -> Result<(), ResultError> {
    transactions::receive_phase(&mut *tx, event).await
}

async fn pipeline_failed(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: BatchPipelineErrorV1,
) -> Result<(), ResultError> {
    transactions::receive_error(&mut *tx, event).await
}

async fn checked(tx: &mut Tx<'_>, _: &InboxMessage, event: SpellcheckCompletedV1) -> Result<(), ResultError> {
    transactions::receive_spellcheck(&mut *tx, event).await
}

async fn ranked(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: CJAssessmentCompletedV1,
) -> Result<(), ResultError> {
    transactions::receive_ranking(&mut *tx, event).await
}
