//! What becomes of files: texts, refusals, removals, and the events that tell of them.

use std::collections::{BTreeMap, HashSet};

use chrono::{SubsecRound, Utc};
use file_service::events::{
    BatchFileAddedV1, BatchFileRemovedV1, EssayContentProvisionedV1, EssayValidationFailedV1,
};
use file_service::uploads::UploadStatus;
use file_service::{ContentStore, ValidationErrorCode};
use uuid::Uuid;

use super::events::{ADDED, FAILED, PROVISIONED, REMOVED, in_topic};
use super::running::{ESSAY, Running, USER, borrowed, essays, many};

#[tokio::test(flavor = "multi_thread")]
async fn essays_are_stored_as_text_and_told_of() {
    let mut service = Running::start().await;
    let essays = essays();
    assert!(essays.len() >= 6);
    let before = Utc::now();
    let ids = service.accepted(&borrowed(&essays)).await;
    let files = service.processed().await;
    let events = service.finish().await;

    assert_eq!(events.len(), 2 * essays.len());
    let added: Vec<BatchFileAddedV1> = in_topic(&events, ADDED)
        .iter()
        .map(|event| event.read())
        .collect();
    for ((id, (name, bytes)), added) in ids.iter().zip(&essays).zip(&added) {
        // One key, one transaction: the order of the form.
        assert_eq!((added.file_upload_id, &added.filename), (*id, name));
        assert_eq!((&added.batch_id, added.user_id.as_str()), (&service.batch, USER));

        let file = files.iter().find(|file| file.id == *id).unwrap();
        let event = in_topic(&events, PROVISIONED)
            .into_iter()
            .find(|event| event.upload() == *id)
            .unwrap();
        assert_eq!(event.record.key_text(), Some(&*id.to_string()));
        assert_eq!(event.header("ce_type"), Some("EssayContentProvisionedV1"));
        let told: EssayContentProvisionedV1 = event.read();
        assert_eq!(file.status, UploadStatus::Completed);
        assert_eq!(file.text_storage_id.as_ref(), Some(&told.text_storage_id));
        assert_eq!(file.content_md5, told.content_md5_hash);
        assert_eq!(&told.original_file_name, name);
        assert_eq!(told.file_size_bytes, bytes.len() as i64);
        assert_eq!(told.raw_file_storage_id, ContentStore::raw_id(*id));
        assert_eq!(told.correlation_id, added.correlation_id);
        assert!(told.timestamp >= before.trunc_subsecs(6) && told.timestamp <= Utc::now());
        assert_eq!(event.record.timestamp_ms, Some(told.timestamp.timestamp_millis()));
        assert_eq!(&service.content(&told.raw_file_storage_id).await, bytes);
        assert_eq!(&service.content(&told.text_storage_id).await, bytes);
    }
    for event in in_topic(&events, ADDED) {
        assert_eq!(event.record.key_text(), Some(service.batch.as_str()));
        assert_eq!(event.header("ce_type"), Some("BatchFileAddedV1"));
    }
}

/// Exactly these, in any order; nothing more.
fn fields(event: &serde_json::Value) -> Vec<&str> {
    let mut names: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_exactly_its_fields() {
    let mut service = Running::start().await;
    let ids = service
        .accepted(&[("good.txt", ESSAY.as_bytes()), ("bad.txt", b"too short")])
        .await;
    service.processed().await;
    assert_eq!(service.remove(ids[0]).await.status(), 204);
    let events = service.finish().await;
    let both = [
        "batch_id",
        "correlation_id",
        "file_upload_id",
        "filename",
        "timestamp",
        "user_id",
    ]
    .as_slice();
    let expected = BTreeMap::from([
        (ADDED, both),
        (REMOVED, both),
        (
            PROVISIONED,
            &[
                "batch_id",
                "content_md5_hash",
                "correlation_id",
                "file_size_bytes",
                "file_upload_id",
                "original_file_name",
                "raw_file_storage_id",
                "text_storage_id",
                "timestamp",
            ],
        ),
        (
            FAILED,
            &[
                "batch_id",
                "correlation_id",
                "file_size_bytes",
                "file_upload_id",
                "original_file_name",
                "raw_file_storage_id",
                "timestamp",
                "validation_error_code",
                "validation_error_detail",
            ],
        ),
    ]);
    assert_eq!(events.len(), 5);
    for event in &events {
        assert_eq!(fields(&event.value), expected[event.topic()], "{}", event.topic());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_essays_fail_with_their_code() {
    use ValidationErrorCode::*;
    let mut service = Running::start().await;
    let too_long = "x".repeat(5_001);
    let cases: [(&str, &[u8], ValidationErrorCode); 8] = [
        ("empty.txt", b"", EmptyContent),
        ("blank.txt", b" \r\n\t ", EmptyContent),
        ("short.txt", b"An essay?", ContentTooShort),
        ("long.txt", too_long.as_bytes(), ContentTooLong),
        ("latin-1.txt", b"En uppsats \xE5\xE4\xF6", TextExtractionFailed),
        ("archive.docx", b"PK\x03\x04\x14\0\0\0", TextExtractionFailed),
        ("image.png", b"\x89PNG\r\n\x1a\n\0\0", TextExtractionFailed),
        (
            "secret.pdf",
            b"%PDF-1.7\n<< /Encrypt 5 0 R >>",
            EncryptedFileUnsupported,
        ),
    ];
    let files: Vec<_> = cases.iter().map(|(name, bytes, _)| (*name, *bytes)).collect();
    let ids = service.accepted(&files).await;
    let listed = service.processed().await;
    let events = service.finish().await;
    assert_eq!(in_topic(&events, PROVISIONED).len(), 0);
    let failed = in_topic(&events, FAILED);
    assert_eq!(failed.len(), cases.len());
    for (id, (name, bytes, code)) in ids.iter().zip(cases) {
        let event = failed.iter().find(|event| event.upload() == *id).unwrap();
        assert_eq!(event.record.key_text(), Some(&*id.to_string()));
        let told: EssayValidationFailedV1 = event.read();
        assert_eq!(told.validation_error_code, code, "{name}");
        assert_eq!(event.value["validation_error_code"], code.as_str());
        assert_eq!(told.original_file_name, name);
        assert_eq!(told.file_size_bytes, bytes.len() as i64);
        assert_eq!(told.raw_file_storage_id, ContentStore::raw_id(*id));
        let file = listed.iter().find(|file| file.id == *id).unwrap();
        assert_eq!(file.status, UploadStatus::Failed);
        assert_eq!(file.error_code.as_deref(), Some(code.as_str()));
        assert_eq!(file.error_detail.as_ref(), Some(&told.validation_error_detail));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_stored_as_their_text_under_harmless_names() {
    let mut service = Running::start().await;
    let with_mark = format!("\u{feff}{ESSAY}");
    let files: [(&str, &[u8]); 3] = [
        (
            "../../etc/essay.pdf",
            include_bytes!("../../../examples/file-service/tests/files/essay.pdf"),
        ),
        (
            r"C:\essay.docx",
            include_bytes!("../../../examples/file-service/tests/files/essay.docx"),
        ),
        ("mark.txt", with_mark.as_bytes()),
    ];
    let ids = service.accepted(&files).await;
    service.processed().await;
    let events = service.finish().await;
    let told: Vec<EssayContentProvisionedV1> = in_topic(&events, PROVISIONED)
        .iter()
        .map(|event| event.read())
        .collect();
    assert_eq!(told.len(), files.len());
    let expected = [
        ("essay.pdf", "räksmörgåsar varje dag."),
        ("essay.docx", "The last paragraph."),
        ("mark.txt", ESSAY),
    ];
    for ((id, (_, bytes)), (name, part)) in ids.iter().zip(files).zip(expected) {
        let told = told.iter().find(|told| told.file_upload_id == *id).unwrap();
        assert_eq!(told.original_file_name, name);
        assert_eq!(service.content(&told.raw_file_storage_id).await, bytes);
        let text = String::from_utf8(service.content(&told.text_storage_id).await).unwrap();
        assert!(text.contains(part) && !text.starts_with('\u{feff}'), "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_stored_is_taken_and_fails() {
    let mut service = Running::start().await;
    // The folder is gone, as a disk can be.
    std::fs::remove_dir(service.content_dir().join("raw")).unwrap();
    let ids = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    service.processed().await;
    let events = service.finish().await;
    assert_eq!(in_topic(&events, ADDED).len(), 1);
    let told: EssayValidationFailedV1 = in_topic(&events, FAILED)[0].read();
    assert_eq!(told.file_upload_id, ids[0]);
    assert_eq!(told.validation_error_code, ValidationErrorCode::RawStorageFailed);
    assert_eq!(
        (told.raw_file_storage_id.as_str(), told.file_size_bytes),
        ("", ESSAY.len() as i64)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_files_is_told_file_by_file_in_order() {
    let mut service = Running::start().await;
    let files = many(50);
    let ids = service.accepted(&borrowed(&files)).await;
    service.processed().await;
    let events = service.finish().await;
    let added: Vec<Uuid> = in_topic(&events, ADDED)
        .iter()
        .map(|event| event.upload())
        .collect();
    assert_eq!(added, ids);
    let provisioned: HashSet<Uuid> = in_topic(&events, PROVISIONED)
        .iter()
        .map(|event| event.upload())
        .collect();
    assert_eq!(provisioned, ids.into_iter().collect());
    assert_eq!(events.len(), 100, "an event came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_removed_once_and_by_its_owner() {
    let mut service = Running::start().await;
    let id = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await[0];
    service.processed().await;
    assert_eq!((service.contents("raw"), service.contents("text")), (1, 1));

    let stranger = service
        .http
        .delete(format!("{}/{id}", service.files_url()))
        .header("x-user-id", "user-2");
    assert_eq!(stranger.send().await.unwrap().status(), 404);
    assert_eq!(service.remove(id).await.status(), 204);
    assert_eq!(service.remove(id).await.status(), 404);
    assert_eq!(service.files().await, []);
    assert_eq!((service.contents("raw"), service.contents("text")), (0, 0));

    let events = service.finish().await;
    let removed = in_topic(&events, REMOVED);
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].record.key_text(), Some(service.batch.as_str()));
    let told: BatchFileRemovedV1 = removed[0].read();
    assert_eq!((told.file_upload_id, told.filename.as_str()), (id, "essay.txt"));
    assert_eq!((&told.batch_id, told.user_id.as_str()), (&service.batch, USER));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_removed_before_it_was_processed_is_not_told_of_as_ready() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let ids = service.accepted(&borrowed(&many(2))).await;
    assert_eq!(service.remove(ids[0]).await.status(), 204);
    service.stop().await;
    service.start_again(|_| {}).await;
    service.processed().await;
    let events = service.finish().await;
    let provisioned = in_topic(&events, PROVISIONED);
    assert_eq!(provisioned.len(), 1);
    assert_eq!(provisioned[0].upload(), ids[1]);
    assert_eq!(in_topic(&events, REMOVED).len(), 1);
}
