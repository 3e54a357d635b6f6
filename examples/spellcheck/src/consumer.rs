//! What the service reads.

use std::sync::Arc;
use std::time::Instant;

use contracts::lifecycle::EssaySpellcheckRequestedV1;
use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
use outbox_runtime::consumer::ConsumerBuilder;
use outbox_runtime::{Consumer, InboxMessage, Outbox};
use service_kit::{Db, Texts, Tx};
use uuid::Uuid;

use crate::spelling::Dictionaries;
use crate::transactions::{SpellcheckError, finish_check, now};

/// The consumer. A text that cannot be read is tried again; then the message goes to the dead letters.
pub fn consumer(
    outbox: &Outbox<Db>,
    brokers: &str,
    texts: Texts,
    dictionaries: Arc<Dictionaries>,
) -> ConsumerBuilder<Db> {
    Consumer::builder(outbox, brokers, "spellcheck")
        .topic("huleedu.essay.spellcheck.requested.v1")
        .on(
            "EssaySpellcheckRequestedV1",
            async move |tx, message, request: EssaySpellcheckRequestedV1| {
                check(tx, message, request, &texts, &dictionaries).await
            },
        )
}

async fn check(
    tx: &mut Tx<'_>,
    message: &InboxMessage,
    request: EssaySpellcheckRequestedV1,
    texts: &Texts,
    dictionaries: &Dictionaries,
) -> Result<(), SpellcheckError> {
    let began = Instant::now();
    let text = texts.read(&request.text_storage_id).await?;
    let corrected = dictionaries.correct(&request.language, &text);
    // The id follows from the essay's, so that work that is done again writes to the same place.
    let corrected_id = format!("corrected/{}", request.essay_id);
    if let Some(corrected) = &corrected {
        texts.write(&corrected_id, &corrected.text).await?;
    }
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let correlation = |name| message.header(name).and_then(|id| Uuid::parse_str(id).ok());
    let event = SpellcheckCompletedV1 {
        essay_id: request.essay_id,
        batch_id: request.batch_id,
        status: match corrected {
            Some(_) => SpellcheckStatus::Completed,
            None => SpellcheckStatus::Failed,
        },
        corrections_made: corrected
            .as_ref()
            .map_or(0, |corrected| count(corrected.corrections)),
        word_count: corrected.as_ref().map_or(0, |corrected| count(corrected.words)),
        original_text_storage_id: request.text_storage_id,
        corrected_text_storage_id: corrected.map(|_| corrected_id),
        processing_duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
        correlation_id: correlation("ce_correlationid")
            .or_else(|| correlation("ce_id"))
            .unwrap_or_else(Uuid::now_v7),
        timestamp: now(),
    };
    finish_check(&mut *tx, event).await.map(drop)
}
