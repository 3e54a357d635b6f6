//! The row and the event: in one transaction, or neither of them.

use outbox_tests::wait_until;
use reqwest::StatusCode;

use super::events::{ADDED, FAILED, PROVISIONED, REMOVED, in_topic};
use super::running::{ESSAY, LIMIT, Running, borrowed, many};

/// The transactions that wrote the messages of a topic.
async fn transactions(service: &Running, topic: &str) -> Vec<String> {
    sqlx::query_scalar("SELECT DISTINCT xid::text FROM outbox_messages WHERE topic = $1")
        .bind(topic)
        .fetch_all(&service.database.pool)
        .await
        .unwrap()
}

/// The transactions that last wrote the rows.
async fn row_transactions(service: &Running) -> Vec<String> {
    sqlx::query_scalar("SELECT DISTINCT xmin::text FROM file_uploads")
        .fetch_all(&service.database.pool)
        .await
        .unwrap()
}

async fn count(service: &Running, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(sql)
        .fetch_one(&service.database.pool)
        .await
        .unwrap()
}

async fn execute(service: &Running, sql: &'static str) {
    sqlx::query(sql).execute(&service.database.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_events_of_an_upload_are_one_transaction() {
    let service = Running::start_with(|config| config.workers = 0).await;
    service.accepted(&borrowed(&many(20))).await;
    assert_eq!(count(&service, "file_uploads").await, 20);
    assert_eq!(count(&service, "outbox_messages").await, 20);
    let transaction = transactions(&service, ADDED).await;
    assert_eq!(transaction.len(), 1);
    assert_eq!(row_transactions(&service).await, transaction);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_of_processing_and_its_event_are_one_transaction() {
    for (topic, text) in [(PROVISIONED, ESSAY), (FAILED, "too short")] {
        let service = Running::start().await;
        service.accepted(&[("essay.txt", text.as_bytes())]).await;
        service.processed().await;
        let transaction = transactions(&service, topic).await;
        assert_eq!(transaction.len(), 1);
        assert_eq!(row_transactions(&service).await, transaction, "{topic}");
    }
}

/// A removed row has no transaction to compare: the commit is made impossible instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_without_its_event_does_not_happen() {
    let mut service = Running::start().await;
    let id = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await[0];
    service.processed().await;
    execute(
        &service,
        "ALTER TABLE outbox_messages ADD CONSTRAINT refused CHECK (topic NOT LIKE '%removed%')",
    )
    .await;
    assert_eq!(
        service.remove(id).await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(service.files().await.len(), 1);
    assert_eq!((service.contents("raw"), service.contents("text")), (1, 1));

    execute(&service, "ALTER TABLE outbox_messages DROP CONSTRAINT refused").await;
    assert_eq!(service.remove(id).await.status(), StatusCode::NO_CONTENT);
    let events = service.finish().await;
    assert_eq!(in_topic(&events, REMOVED).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_at_its_last_file_leaves_nothing() {
    let mut service = Running::start().await;
    // All rows and events but the last would be possible.
    execute(
        &service,
        "ALTER TABLE file_uploads ADD CONSTRAINT refused CHECK (filename <> 'essay-009.txt')",
    )
    .await;
    let response = service.upload(&borrowed(&many(10))).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "INTERNAL");
    assert_eq!(count(&service, "file_uploads").await, 0);
    assert_eq!(count(&service, "outbox_messages").await, 0);
    assert_eq!(service.contents("raw"), 0);
    assert_eq!(service.finish().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_its_events_does_not_happen() {
    let mut service = Running::start().await;
    execute(
        &service,
        "ALTER TABLE outbox_messages ADD CONSTRAINT refused CHECK (topic NOT LIKE '%added%')",
    )
    .await;
    let response = service.upload(&borrowed(&many(3))).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(count(&service, "file_uploads").await, 0);
    assert_eq!(service.contents("raw"), 0);
    assert_eq!(service.finish().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_completed_without_its_event_and_tried_again() {
    let mut service = Running::start().await;
    execute(
        &service,
        "ALTER TABLE outbox_messages ADD CONSTRAINT refused CHECK (topic NOT LIKE '%provisioned%')",
    )
    .await;
    service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    wait_until("a second attempt", LIMIT, async || {
        let pending: Option<bool> =
            sqlx::query_scalar("SELECT status = 'PENDING' FROM file_uploads WHERE attempts > 1")
                .fetch_optional(&service.database.pool)
                .await
                .unwrap();
        pending.inspect(|pending| assert!(pending, "it was ended without its event"))
    })
    .await;
    execute(&service, "ALTER TABLE outbox_messages DROP CONSTRAINT refused").await;
    service.processed().await;
    let events = service.finish().await;
    assert_eq!(in_topic(&events, PROVISIONED).len(), 1);
    assert_eq!(in_topic(&events, FAILED).len(), 0);
}
