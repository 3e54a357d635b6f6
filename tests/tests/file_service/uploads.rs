//! What becomes of files: texts, refusals, removals, and their events.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{SubsecRound, Utc};
use file_service::ValidationErrorCode;
use file_service::events::{
    BatchFileAddedV1, BatchFileRemovedV1, EssayContentProvisionedV1, EssayValidationFailedV1,
};
use file_service::uploads::UploadStatus;
use outbox_runtime::Payload;

use super::running::{ESSAY, Running, USER, accepted, borrowed, many};

/// The essays that ship with the example, by name.
fn essays() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/file-service/essays");
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let essay = |path: std::path::PathBuf| {
        (
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            std::fs::read(path).unwrap(),
        )
    };
    let mut essays: Vec<_> = paths.map(essay).collect();
    essays.sort();
    essays
}

#[tokio::test(flavor = "multi_thread")]
async fn essays_are_stored_as_text_and_announced() {
    let service = Running::start().await;
    let essays = essays();
    assert!(essays.len() >= 6);
    let before = Utc::now().trunc_subsecs(6);
    let ids = service.accepted(&borrowed(&essays)).await;
    let files = service.processed().await;
    service.announced_once(&ids).await;
    let added = service.test.emitted::<BatchFileAddedV1>().await;
    let ready = service.test.emitted::<EssayContentProvisionedV1>().await;
    for ((id, (name, bytes)), added) in ids.iter().zip(&essays).zip(&added) {
        assert_eq!(
            (&added.filename, added.message().key()),
            (name, service.batch.as_str())
        );
        assert_eq!((&added.batch_id, added.user_id.as_str()), (&service.batch, USER));
        let file = files.iter().find(|file| file.id == *id).unwrap();
        let event = ready.iter().find(|event| event.file_upload_id == *id).unwrap();
        assert_eq!(event.message().key(), id.to_string());
        assert_eq!(file.status, UploadStatus::Completed);
        assert_eq!(file.text_storage_id.as_ref(), Some(&event.text_storage_id));
        assert_eq!(file.content_md5, event.content_md5_hash);
        assert_eq!(&event.original_file_name, name);
        assert_eq!(event.file_size_bytes, bytes.len() as i64);
        assert_eq!(event.correlation_id, added.correlation_id);
        assert!(event.timestamp >= before && event.timestamp <= Utc::now());
        assert_eq!(event.message().occurred_at(), event.timestamp);
        assert_eq!(&service.content(&event.raw_file_storage_id), bytes);
        assert_eq!(&service.content(&event.text_storage_id), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_exactly_its_fields() {
    let service = Running::start().await;
    let files: [(&str, &[u8]); 2] = [("good.txt", ESSAY.as_bytes()), ("bad.txt", b"too short")];
    let ids = service.accepted(&files).await;
    service.processed().await;
    assert_eq!(service.remove(ids[0]).await, 204);
    let both = "batch_id correlation_id file_upload_id filename timestamp user_id";
    let expected = BTreeMap::from([
        ("BatchFileAddedV1", both),
        ("BatchFileRemovedV1", both),
        (
            "EssayContentProvisionedV1",
            "batch_id content_md5_hash correlation_id file_size_bytes file_upload_id original_file_name \
             raw_file_storage_id text_storage_id timestamp",
        ),
        (
            "EssayValidationFailedV1",
            "batch_id correlation_id file_size_bytes file_upload_id original_file_name raw_file_storage_id timestamp \
             validation_error_code validation_error_detail",
        ),
    ]);
    let messages = service.test.messages().await;
    assert_eq!(messages.len(), 5);
    for message in &messages {
        let Payload::Json(text) = message.payload() else {
            panic!("{message:?} is no JSON");
        };
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        let fields: Vec<&str> = fields.keys().map(String::as_str).collect();
        assert_eq!(fields.join(" "), expected[message.event_type()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_essays_fail_with_their_code() {
    use ValidationErrorCode::*;
    let service = Running::start().await;
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
    assert!(
        service
            .test
            .emitted::<EssayContentProvisionedV1>()
            .await
            .is_empty()
    );
    let failed = service.test.emitted::<EssayValidationFailedV1>().await;
    assert_eq!(failed.len(), cases.len());
    for (id, (name, bytes, code)) in ids.iter().zip(cases) {
        let event = failed.iter().find(|event| event.file_upload_id == *id).unwrap();
        assert_eq!(event.message().key(), id.to_string());
        assert_eq!(event.validation_error_code, code, "{name}");
        assert_eq!(event.original_file_name, name);
        assert_eq!(event.file_size_bytes, bytes.len() as i64);
        assert_eq!(service.content(&event.raw_file_storage_id), bytes);
        let file = listed.iter().find(|file| file.id == *id).unwrap();
        assert_eq!(file.status, UploadStatus::Failed);
        assert_eq!(file.error_code.as_deref(), Some(code.as_str()));
        assert_eq!(file.error_detail.as_ref(), Some(&event.validation_error_detail));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_stored_as_their_text_under_harmless_names() {
    let service = Running::start().await;
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
    service.announced_once(&ids).await;
    let event = service.test.emitted::<EssayContentProvisionedV1>().await;
    let expected = [
        ("essay.pdf", "räksmörgåsar varje dag."),
        ("essay.docx", "The last paragraph."),
        ("mark.txt", ESSAY),
    ];
    for ((id, (_, bytes)), (name, part)) in ids.iter().zip(files).zip(expected) {
        let event = event.iter().find(|event| event.file_upload_id == *id).unwrap();
        assert_eq!(event.original_file_name, name);
        assert_eq!(service.content(&event.raw_file_storage_id), bytes);
        let text = String::from_utf8(service.content(&event.text_storage_id)).unwrap();
        assert!(text.contains(part) && !text.starts_with('\u{feff}'), "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_stored_is_taken_and_fails() {
    let service = Running::start().await;
    // The folder is gone, as a disk can be.
    std::fs::remove_dir(service.content_dir().join("raw")).unwrap();
    let ids = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    service.processed().await;
    let failed = |event: &EssayValidationFailedV1| event.file_upload_id == ids[0];
    let event = service.test.assert_emitted(failed).await;
    assert_eq!(event.validation_error_code, ValidationErrorCode::RawStorageFailed);
    assert_eq!(event.raw_file_storage_id, "");
    assert_eq!(event.file_size_bytes, ESSAY.len() as i64);
    service.test.assert_emitted::<BatchFileAddedV1>(|_| true).await;
    service.test.assert_nothing_else().await;
}

/// The same request again, as of a client that got no answer: it uploads nothing, and gets the first one's answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_changes_nothing() {
    let service = Running::start().await;
    let files = many(3);
    let send = async |key: &str| {
        let request = service.upload(&borrowed(&files)).header("idempotency-key", key);
        accepted(request.send().await.unwrap()).await
    };
    let (first, second) = tokio::join!(send("monday"), send("monday"));
    assert_eq!(first, second);
    service.processed().await;
    assert_eq!(send("monday").await, first);
    service.announced_once(&first).await;
    // With another key it is another upload. Its files are stored already.
    let stored = service.contents().await;
    assert_eq!(stored, 6);
    assert_ne!(send("tuesday").await, first);
    service.processed().await;
    assert_eq!(
        (service.files().await.len(), service.contents().await),
        (6, stored)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_removed_once_and_by_its_owner() {
    let service = Running::start().await;
    let files: [(&str, &[u8]); 2] = [("essay.txt", ESSAY.as_bytes()), ("copy.txt", ESSAY.as_bytes())];
    let ids = service.accepted(&files).await;
    service.processed().await;
    // Both have one content, and one text.
    assert_eq!(service.contents().await, 2);

    let url = format!("{}/{}", service.files_url(), ids[0]);
    let stranger = service.http.delete(url).header("x-user-id", "user-2");
    assert_eq!(stranger.send().await.unwrap().status(), 404);
    assert_eq!(service.remove(ids[0]).await, 204);
    assert_eq!(service.remove(ids[0]).await, 404);
    assert_eq!((service.files().await.len(), service.contents().await), (1, 2));
    assert_eq!(service.remove(ids[1]).await, 204);
    assert_eq!((service.files().await.len(), service.contents().await), (0, 0));

    let removed = service.test.emitted::<BatchFileRemovedV1>().await;
    assert_eq!(removed.len(), 2);
    let event = &removed[0];
    assert_eq!(event.message().key(), service.batch);
    assert_eq!(
        (event.file_upload_id, event.filename.as_str()),
        (ids[0], "essay.txt")
    );
    assert_eq!((&event.batch_id, event.user_id.as_str()), (&service.batch, USER));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_removed_before_it_was_processed_is_not_announced_as_ready() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let ids = service.accepted(&borrowed(&many(2))).await;
    assert_eq!(service.remove(ids[0]).await, 204);
    service.stop().await;
    service.start_again(|_| {}).await;
    service.processed().await;
    let ready = service.test.emitted::<EssayContentProvisionedV1>().await;
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].file_upload_id, ids[1]);
    assert_eq!(service.test.emitted::<BatchFileRemovedV1>().await.len(), 1);
}
