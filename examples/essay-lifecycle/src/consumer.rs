//! What the service reads, and which transaction each message is.

use contracts::batch::{BatchEssaysRegistered, BatchSpellcheckInitiateCommandV1};
use contracts::file::{EssayContentProvisionedV1, EssayValidationFailedV1};
use outbox_runtime::consumer::ConsumerBuilder;
use outbox_runtime::{Consumer, InboxMessage, Outbox};
use service_kit::{Db, Tx};

use crate::transactions::{self, File, LifecycleError};

/// The consumer. Each handler runs in the transaction in which the inbox notes its message.
pub fn consumer(outbox: &Outbox<Db>, brokers: &str) -> ConsumerBuilder<Db> {
    Consumer::builder(outbox, brokers, "essay-lifecycle")
        .topic("huleedu.batch.essays.registered.v1")
        .topic("huleedu.file.essay.content.provisioned.v1")
        .topic("huleedu.file.essay.validation.failed.v1")
        .topic("huleedu.els.spellcheck.initiate.command.v1")
        .on("BatchEssaysRegistered", registered)
        .on("EssayContentProvisionedV1", provisioned)
        .on("EssayValidationFailedV1", refused)
        .on("BatchSpellcheckInitiateCommandV1", spellcheck)
}

async fn registered(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: BatchEssaysRegistered,
) -> Result<(), LifecycleError> {
    transactions::register_batch(&mut *tx, &event.batch_id, &event.essay_ids).await
}

async fn provisioned(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: EssayContentProvisionedV1,
) -> Result<(), LifecycleError> {
    let file = File {
        file_upload_id: event.file_upload_id,
        text_storage_id: Some(event.text_storage_id),
    };
    transactions::receive_file(&mut *tx, &event.batch_id, &file).await
}

async fn refused(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: EssayValidationFailedV1,
) -> Result<(), LifecycleError> {
    let file = File {
        file_upload_id: event.file_upload_id,
        text_storage_id: None,
    };
    transactions::receive_file(&mut *tx, &event.batch_id, &file).await
}

async fn spellcheck(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    command: BatchSpellcheckInitiateCommandV1,
) -> Result<(), LifecycleError> {
    transactions::request_spellcheck(&mut *tx, command).await
}
