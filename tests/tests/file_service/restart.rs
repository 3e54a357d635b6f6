//! What was taken is processed and announced, whatever becomes of the process.

use file_service::events::EssayContentProvisionedV1;
use file_service::uploads::{UploadStatus, claim_upload, complete_upload};

use super::running::{ESSAY, Running, borrowed, many};

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_only_taken_are_processed_by_the_next_process() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let ids = service.accepted(&borrowed(&many(30))).await;
    service.crash();
    service.start_again(|_| {}).await;
    let files = service.processed().await;
    assert!(files.iter().all(|file| file.status == UploadStatus::Completed));
    service.announced_once(&ids).await;
}

/// A process died in the middle of its work: its claims are still in the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_a_dead_process_runs_out() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let ids = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    service
        .execute("UPDATE file_uploads SET attempts = 1, claimed_until = now() + interval '2 seconds'")
        .await;
    service.crash();
    service.start_again(|_| {}).await;
    let files = service.processed().await;
    assert_eq!(files[0].status, UploadStatus::Completed);
    // Nobody began before the dead one's claim had run out.
    assert!((files[0].updated_at - files[0].created_at).num_milliseconds() >= 1_500);
    service.announced_once(&ids).await;
}

/// Two workers hold one upload, because the first was slow: it is announced once.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_processed_twice_is_announced_once() {
    let service = Running::start_with(|config| config.workers = 0).await;
    service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    let claim = || async {
        service
            .execute("UPDATE file_uploads SET claimed_until = now()")
            .await;
        let claimed = claim_upload(service.test.pool(), std::time::Duration::from_secs(60)).await;
        claimed.unwrap().expect("the claim has run out")
    };
    let (slow, fast) = (claim().await, claim().await);
    let outbox = service.test.outbox();
    let complete = async |upload| complete_upload(outbox, upload, "text/x").await.unwrap();
    let (first, second) = tokio::join!(complete(&slow), complete(&fast));
    assert!(first != second, "{first} and {second}");
    let ready = service.test.emitted::<EssayContentProvisionedV1>().await;
    assert_eq!(ready.len(), 1);
}

/// Two replicas share a database and a folder: each file is processed once, and one of them relays.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_work() {
    let mut service = Running::start().await;
    let first = service.take();
    service.start_again(|_| {}).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.extend(service.accepted(&borrowed(&many(20))).await);
    }
    service.processed().await;
    service.announced_once(&ids).await;
    service.test.consume::<EssayContentProvisionedV1>(80).await;
    first.stop().await.unwrap();
    service.stop().await;
    let topic = "huleedu.file.essay.content.provisioned.v1".to_owned();
    let records = service.test.broker().records(&[topic]).await;
    assert_eq!(records.len(), 80, "an event came twice");
}
