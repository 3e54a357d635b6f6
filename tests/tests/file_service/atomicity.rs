//! The row and the event: in one transaction, or neither of them.

use file_service::events::{BatchFileRemovedV1, EssayContentProvisionedV1, EssayValidationFailedV1};
use outbox_tests::wait_until;
use reqwest::StatusCode;
use serde_json::Value;

use super::running::{ESSAY, LIMIT, Running, borrowed, many};

/// The transactions that last wrote the rows, and those that wrote the messages of a topic.
async fn transactions(service: &Running, topic: &str) -> (Vec<String>, Vec<String>) {
    let rows = sqlx::query_scalar("SELECT DISTINCT xmin::text FROM file_uploads");
    let messages = sqlx::query_scalar("SELECT DISTINCT xid::text FROM outbox_messages WHERE topic LIKE $1");
    let pool = service.test.pool();
    (
        rows.fetch_all(pool).await.unwrap(),
        messages.bind(topic).fetch_all(pool).await.unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_events_are_one_transaction() {
    let service = Running::start_with(|config| config.workers = 0).await;
    service.accepted(&borrowed(&many(20))).await;
    assert_eq!(service.test.messages().await.len(), 20);
    let (rows, messages) = transactions(&service, "%added%").await;
    assert_eq!((rows.len(), &rows), (1, &messages));

    for (topic, text) in [("%provisioned%", ESSAY), ("%failed%", "too short")] {
        let service = Running::start().await;
        service.accepted(&[("essay.txt", text.as_bytes())]).await;
        service.processed().await;
        let (rows, messages) = transactions(&service, topic).await;
        assert_eq!((rows.len(), &rows), (1, &messages), "{topic}");
    }
}

/// A removed row has no transaction to compare: the commit is made impossible instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_without_its_event_does_not_happen() {
    let service = Running::start().await;
    let id = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await[0];
    service.processed().await;
    service
        .execute("ALTER TABLE outbox_messages ADD CONSTRAINT refused CHECK (topic NOT LIKE '%removed%')")
        .await;
    assert_eq!(service.remove(id).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((service.files().await.len(), service.contents().await), (1, 2));

    service
        .execute("ALTER TABLE outbox_messages DROP CONSTRAINT refused")
        .await;
    assert_eq!(service.remove(id).await, StatusCode::NO_CONTENT);
    assert_eq!(service.test.emitted::<BatchFileRemovedV1>().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_last_row_or_event_is_refused_leaves_nothing() {
    for refuse in [
        "ALTER TABLE file_uploads ADD CONSTRAINT refused CHECK (filename <> 'essay-009.txt')",
        "ALTER TABLE outbox_messages ADD CONSTRAINT refused CHECK (payload::text NOT LIKE '%essay-009.txt%')",
    ] {
        let service = Running::start().await;
        service.execute(refuse).await;
        let response = service.upload(&borrowed(&many(10))).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.json::<Value>().await.unwrap()["error"]["code"],
            "INTERNAL"
        );
        assert_eq!((service.files().await.len(), service.contents().await), (0, 0));
        service.test.assert_nothing_else().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_completed_without_its_event_and_tried_again() {
    let service = Running::start().await;
    service
        .execute("ALTER TABLE outbox_messages ADD CONSTRAINT refused CHECK (topic NOT LIKE '%provisioned%')")
        .await;
    service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    wait_until("a second attempt", LIMIT, async || {
        let pending: Option<bool> =
            sqlx::query_scalar("SELECT status = 'PENDING' FROM file_uploads WHERE attempts > 1")
                .fetch_optional(service.test.pool())
                .await
                .unwrap();
        pending.inspect(|pending| assert!(pending, "it was ended without its event"))
    })
    .await;
    service
        .execute("ALTER TABLE outbox_messages DROP CONSTRAINT refused")
        .await;
    service.processed().await;
    let ready = service.test.emitted::<EssayContentProvisionedV1>().await;
    let failed = service.test.emitted::<EssayValidationFailedV1>().await;
    assert_eq!((ready.len(), failed.len()), (1, 0));
}
