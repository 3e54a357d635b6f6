//! What the service reads.

use std::time::Instant;

use contracts::batch::BatchCjAssessmentInitiateCommandV1;
use outbox_runtime::consumer::ConsumerBuilder;
use outbox_runtime::{Consumer, InboxMessage, Outbox};
use service_kit::{Db, Texts, Tx};
use uuid::Uuid;

use crate::judge::FeatureJudge;
use crate::ranking::{Essay, rank};
use crate::transactions::{AssessmentError, complete_job, fail_job, start_job};

/// The consumer. A text that cannot be read is tried again; then the message goes to the dead letters.
pub fn consumer(outbox: &Outbox<Db>, brokers: &str, texts: Texts) -> ConsumerBuilder<Db> {
    Consumer::builder(outbox, brokers, "cj-assessment")
        .topic("huleedu.batch.cj_assessment.initiate.command.v1")
        .on(
            "BatchCjAssessmentInitiateCommandV1",
            async move |tx, message, command: BatchCjAssessmentInitiateCommandV1| {
                assess(tx, message, command, &texts).await
            },
        )
}

/// Reads and compares within the transaction, which takes milliseconds. A judge that takes longer belongs into a worker
/// that takes jobs from the table, as the File Service has one for uploads.
async fn assess(
    tx: &mut Tx<'_>,
    message: &InboxMessage,
    command: BatchCjAssessmentInitiateCommandV1,
    texts: &Texts,
) -> Result<(), AssessmentError> {
    let began = Instant::now();
    let Some(job) = start_job(&mut *tx, &command.batch_id, correlation(message)).await? else {
        return Ok(());
    };
    if command.essays_to_process.is_empty() {
        return fail_job(&mut *tx, &job, "NO_ESSAYS", "there is nothing to rank")
            .await
            .map(drop);
    }
    let mut essays = Vec::with_capacity(command.essays_to_process.len());
    for essay in command.essays_to_process {
        let text = texts.read(&essay.text_storage_id).await?;
        essays.push(Essay {
            essay_id: essay.essay_id,
            text,
        });
    }
    let rankings = rank(&FeatureJudge, &essays);
    complete_job(&mut *tx, &job, &rankings, began.elapsed().as_secs_f64())
        .await
        .map(drop)
}

/// The conversation that a message belongs to, which its own id begins if it names none.
fn correlation(message: &InboxMessage) -> Uuid {
    let header = |name| message.header(name).and_then(|id| Uuid::parse_str(id).ok());
    header("ce_correlationid")
        .or_else(|| header("ce_id"))
        .unwrap_or_else(Uuid::now_v7)
}
