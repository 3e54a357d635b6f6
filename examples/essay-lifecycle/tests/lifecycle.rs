//! Files become essays, and a batch is complete once.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test reports by a panic")]

use contracts::EssayText;
use contracts::batch::{BatchEssaysRegistered, BatchSpellcheckInitiateCommandV1};
use contracts::file::{
    EssayContentProvisionedV1, EssayValidationFailedV1, ValidationErrorCode, ValidationErrorDetail,
};
use contracts::lifecycle::{BatchEssaysReadyV1, EssaySlotAssignedV1, EssaySpellcheckRequestedV1};
#[cfg(feature = "postgres")]
use essay_lifecycle::transactions::LifecycleError;
use essay_lifecycle::transactions::{File, complete_batch, receive_file, register_batch};
use outbox_runtime::testkit::TestOutbox;
use outbox_runtime::{Error, OutboxEvent};
use service_kit::{Db, create_tables};
use uuid::Uuid;

const BATCH: &str = "batch-1";

async fn service() -> TestOutbox<Db> {
    let test = TestOutbox::<Db>::new().await;
    create_tables(test.pool(), essay_lifecycle::TABLES).await.unwrap();
    test
}

fn essays(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("essay-{number:02}")).collect()
}

fn file(number: u128) -> File {
    File {
        file_upload_id: Uuid::from_u128(number),
        text_storage_id: Some(format!("text/{number}")),
    }
}

fn registered(count: usize) -> BatchEssaysRegistered {
    BatchEssaysRegistered {
        batch_id: BATCH.to_owned(),
        expected_essay_count: i32::try_from(count).unwrap(),
        essay_ids: essays(count),
        course_code: "SV1".to_owned(),
        essay_instructions: "Write.".to_owned(),
        user_id: "teacher".to_owned(),
        org_id: None,
        class_id: None,
        correlation_id: Uuid::from_u128(7),
    }
}

fn provisioned(number: u128) -> EssayContentProvisionedV1 {
    EssayContentProvisionedV1 {
        batch_id: BATCH.to_owned(),
        file_upload_id: Uuid::from_u128(number),
        original_file_name: "essay.txt".to_owned(),
        raw_file_storage_id: format!("raw/{number}"),
        text_storage_id: format!("text/{number}"),
        file_size_bytes: 1,
        content_md5_hash: None,
        correlation_id: Uuid::from_u128(number),
        timestamp: std::time::SystemTime::now().into(),
    }
}

fn refused(number: u128) -> EssayValidationFailedV1 {
    EssayValidationFailedV1 {
        batch_id: BATCH.to_owned(),
        file_upload_id: Uuid::from_u128(number),
        original_file_name: "empty.txt".to_owned(),
        raw_file_storage_id: format!("raw/{number}"),
        validation_error_code: ValidationErrorCode::EmptyContent,
        validation_error_detail: ValidationErrorDetail {
            message: "empty".to_owned(),
            actual: None,
            limit: None,
        },
        file_size_bytes: 0,
        correlation_id: Uuid::from_u128(number),
        timestamp: std::time::SystemTime::now().into(),
    }
}

/// What other services emit, through an outbox of theirs, delivered to this one.
async fn deliver(test: &TestOutbox<Db>, others: &TestOutbox<Db>) {
    others.relay_until_empty().await;
    let consumer = essay_lifecycle::consumer(test.outbox(), test.broker().brokers())
        .build()
        .unwrap();
    others.broker().deliver_to(&consumer).await;
    assert_eq!(consumer.progress().report().dead_lettered, 0);
}

async fn emit(test: &TestOutbox<Db>, events: impl IntoIterator<Item = impl OutboxEvent>) {
    let emitted = test
        .outbox()
        .transaction(async |tx| tx.emit_all(events).map(drop));
    emitted.await.unwrap();
}

/// On PostgreSQL, these transactions run beside each other, and do not see what the others have not committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_and_its_files_at_once_miss_nothing() {
    let test = service().await;
    for number in 0..20 {
        let batch = format!("batch-{number}");
        let essays: Vec<String> = (0..3).map(|essay| format!("{number}/{essay}")).collect();
        let files = [1, 2, 3].map(|place| file(number * 3 + place));
        let (registered, first, second, third) = tokio::join!(
            register_batch(test.outbox(), &batch, &essays),
            receive_file(test.outbox(), &batch, &files[0]),
            receive_file(test.outbox(), &batch, &files[1]),
            receive_file(test.outbox(), &batch, &files[2]),
        );
        for received in [registered, first, second, third] {
            received.unwrap();
        }
    }
    assert_eq!(test.emitted::<EssaySlotAssignedV1>().await.len(), 60);
    let ready = test.emitted::<BatchEssaysReadyV1>().await;
    assert_eq!(ready.len(), 20);
    assert!(ready.iter().all(|batch| batch.ready_essays.len() == 3));
}

/// The same in the one order in which they would miss each other: the file has found no registration and is not
/// committed when the registration looks for files. On SQLite the second transaction does not begin before the first
/// one ends.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_registration_waits_for_a_file_that_is_not_committed() {
    let test = service().await;
    receive_file(test.outbox(), BATCH, &file(1)).await.unwrap();
    let registering = test.outbox().transaction(async |tx| {
        receive_file(&mut *tx, BATCH, &file(2)).await?;
        let outbox = test.outbox().clone();
        let registering = tokio::spawn(async move { register_batch(&outbox, BATCH, &essays(2)).await });
        while !registering.is_finished() && !somebody_waits_for_a_lock(&test).await {}
        Ok::<_, LifecycleError>(registering)
    });
    registering.await.unwrap().await.unwrap().unwrap();
    for number in [1, 2] {
        let id = Uuid::from_u128(number);
        test.assert_emitted::<EssaySlotAssignedV1>(|event| event.file_upload_id == id)
            .await;
    }
    test.assert_emitted::<BatchEssaysReadyV1>(|batch| batch.ready_essays.len() == 2)
        .await;
    test.assert_nothing_else().await;
}

#[cfg(feature = "postgres")]
async fn somebody_waits_for_a_lock(test: &TestOutbox<Db>) -> bool {
    let waiting = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock')",
    );
    waiting.fetch_one(test.pool()).await.unwrap()
}

#[tokio::test]
async fn the_last_file_completes_the_batch() {
    let test = service().await;
    register_batch(test.outbox(), BATCH, &essays(2)).await.unwrap();
    receive_file(test.outbox(), BATCH, &file(1)).await.unwrap();
    let first = EssaySlotAssignedV1 {
        batch_id: BATCH.to_owned(),
        essay_id: "essay-00".to_owned(),
        file_upload_id: Uuid::from_u128(1),
        text_storage_id: "text/1".to_owned(),
    };
    test.assert_emitted_exactly(&[&first]).await;

    receive_file(test.outbox(), BATCH, &file(2)).await.unwrap();
    let second = EssaySlotAssignedV1 {
        essay_id: "essay-01".to_owned(),
        file_upload_id: Uuid::from_u128(2),
        text_storage_id: "text/2".to_owned(),
        ..first
    };
    let text = |essay: &str, text: &str| EssayText {
        essay_id: essay.to_owned(),
        text_storage_id: text.to_owned(),
    };
    let ready_essays = vec![text("essay-00", "text/1"), text("essay-01", "text/2")];
    let ready = BatchEssaysReadyV1 {
        batch_id: BATCH.to_owned(),
        ready_essays,
    };
    test.assert_emitted_exactly(&[&second, &ready]).await;

    receive_file(test.outbox(), BATCH, &file(3)).await.unwrap();
    test.assert_nothing_else().await;
}

#[tokio::test]
async fn one_of_25_triggers_completes_the_batch() {
    let test = service().await;
    register_batch(test.outbox(), BATCH, &essays(3)).await.unwrap();
    for number in 1..=2 {
        receive_file(test.outbox(), BATCH, &file(number)).await.unwrap();
    }
    // The last slot is filled without an announcement; then 25 find out at once.
    sqlx::query(
        "UPDATE slots SET file_upload_id = 'x', text_storage_id = 'text/x' WHERE file_upload_id IS NULL",
    )
    .execute(test.pool())
    .await
    .unwrap();
    let triggers = (0..25).map(|_| {
        let outbox = test.outbox().clone();
        tokio::spawn(async move { complete_batch(&outbox, BATCH).await.unwrap() })
    });
    let mut completed = 0;
    for trigger in triggers.collect::<Vec<_>>() {
        completed += usize::from(trigger.await.unwrap());
    }
    assert_eq!(completed, 1);
    assert_eq!(test.emitted::<BatchEssaysReadyV1>().await.len(), 1);
}

#[tokio::test]
async fn twenty_five_files_at_once_fill_a_batch_once() {
    let test = service().await;
    register_batch(test.outbox(), BATCH, &essays(25)).await.unwrap();
    let files = (1..=25).map(|number| {
        let outbox = test.outbox().clone();
        tokio::spawn(async move { receive_file(&outbox, BATCH, &file(number)).await.unwrap() })
    });
    for file in files.collect::<Vec<_>>() {
        file.await.unwrap();
    }
    let mut assigned: Vec<_> = test.emitted::<EssaySlotAssignedV1>().await;
    assigned.sort_by(|one, other| one.essay_id.cmp(&other.essay_id));
    assert_eq!(
        assigned
            .iter()
            .map(|event| event.essay_id.clone())
            .collect::<Vec<_>>(),
        essays(25)
    );
    assert_eq!(test.emitted::<BatchEssaysReadyV1>().await.len(), 1);
}

#[tokio::test]
async fn files_may_come_before_their_batch_and_twice() {
    let (test, others) = (service().await, TestOutbox::<Db>::new().await);
    emit(&others, [provisioned(1), provisioned(2)]).await;
    emit(&others, [refused(3)]).await;
    deliver(&test, &others).await;
    test.assert_nothing_else().await;
    emit(&others, [registered(3)]).await;
    // All messages come again, and then once more.
    deliver(&test, &others).await;
    deliver(&test, &others).await;
    for essay in ["essay-00", "essay-01"] {
        test.assert_emitted::<EssaySlotAssignedV1>(|event| event.essay_id == essay)
            .await;
    }
    // The refused one has a slot, and is no essay.
    test.assert_emitted::<BatchEssaysReadyV1>(|event| event.ready_essays.len() == 2)
        .await;
    test.assert_nothing_else().await;
}

#[tokio::test]
async fn a_check_is_requested_for_all_essays_or_none() {
    let (test, others) = (service().await, TestOutbox::<Db>::new().await);
    let essays_to_process = essays(3).into_iter().map(|essay| EssayText {
        text_storage_id: format!("text/{essay}"),
        essay_id: essay,
    });
    let command = BatchSpellcheckInitiateCommandV1 {
        batch_id: BATCH.to_owned(),
        essays_to_process: essays_to_process.collect(),
        language: "sv".to_owned(),
        course_code: "SV1".to_owned(),
    };
    emit(&others, [command]).await;
    test.fail_before_commit();
    deliver(&test, &others).await;
    let requested = test.emitted::<EssaySpellcheckRequestedV1>().await;
    assert_eq!(
        requested
            .iter()
            .map(|event| event.essay_id.as_str())
            .collect::<Vec<_>>(),
        ["essay-00", "essay-01", "essay-02"]
    );
    assert!(
        requested
            .iter()
            .all(|event| event.message().key() == event.essay_id && event.language == "sv")
    );
}

#[tokio::test]
async fn a_slot_is_not_filled_without_its_event() -> Result<(), Error> {
    let test = service().await;
    register_batch(test.outbox(), BATCH, &essays(1)).await.unwrap();
    test.fail_before_commit();
    receive_file(test.outbox(), BATCH, &file(1)).await.unwrap_err();
    let filled: i64 = sqlx::query_scalar("SELECT count(file_upload_id) FROM slots")
        .fetch_one(test.pool())
        .await
        .unwrap();
    assert_eq!(filled, 0);
    test.assert_nothing_else().await;
    Ok(())
}
