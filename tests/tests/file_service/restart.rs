//! What was taken is processed and told of, whatever becomes of the process.

use std::collections::HashSet;

use file_service::uploads::UploadStatus;
use uuid::Uuid;

use super::events::{ADDED, PROVISIONED, in_topic};
use super::running::{ESSAY, Running, borrowed, many};

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_only_taken_are_processed_by_the_next_process() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let ids = service.accepted(&borrowed(&many(30))).await;
    service.crash();
    service.start_again(|_| {}).await;
    let files = service.processed().await;
    assert!(files.iter().all(|file| file.status == UploadStatus::Completed));
    let events = service.finish().await;
    let provisioned: HashSet<Uuid> = in_topic(&events, PROVISIONED)
        .iter()
        .map(|event| event.upload())
        .collect();
    assert_eq!(provisioned, ids.into_iter().collect());
}

/// A process died in the middle of its work: its claims are still in the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_a_dead_process_runs_out() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    let claimed = "UPDATE file_uploads SET attempts = 1, claimed_until = now() + interval '2 seconds'";
    sqlx::query(claimed)
        .execute(&service.database.pool)
        .await
        .unwrap();
    service.crash();
    service.start_again(|_| {}).await;
    let files = service.processed().await;
    assert_eq!(files[0].status, UploadStatus::Completed);
    // Nobody began before the dead one's claim had run out.
    assert!((files[0].updated_at - files[0].created_at).num_milliseconds() >= 1_500);
    assert_eq!(service.finish().await.len(), 2);
}

/// Two workers hold one upload, because the first was slow: it is told of once.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_processed_twice_is_told_of_once() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    let pool = &service.database.pool;
    let outbox = outbox_runtime::Outbox::new(pool.clone());
    let claim = || async {
        sqlx::query("UPDATE file_uploads SET claimed_until = now()")
            .execute(pool)
            .await
            .unwrap();
        let claimed = file_service::uploads::claim_upload(pool, std::time::Duration::from_secs(60)).await;
        claimed.unwrap().expect("the claim has run out")
    };
    let (slow, fast) = (claim().await, claim().await);
    let complete = async |upload| {
        file_service::uploads::complete_upload(&outbox, upload, "text/x")
            .await
            .unwrap()
    };
    let (first, second) = tokio::join!(complete(&slow), complete(&fast));
    assert!(first != second, "{first} and {second}");
    let events = service.finish().await;
    assert_eq!(in_topic(&events, PROVISIONED).len(), 1);
}

/// Two replicas share a database and a folder: each file is processed once, and one of them relays.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_work() {
    let mut service = Running::start().await;
    let first = service.take();
    service.start_again(|_| {}).await;
    for _ in 0..4 {
        service.accepted(&borrowed(&many(20))).await;
    }
    service.processed().await;
    service.relayed().await;
    first.stop().await.unwrap();
    let events = service.finish().await;
    assert_eq!(in_topic(&events, ADDED).len(), 80);
    assert_eq!(
        in_topic(&events, PROVISIONED).len(),
        80,
        "an event came twice, or not at all"
    );
}
