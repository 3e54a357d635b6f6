//! Requests that are refused: with a status, a code and a sentence, and without a trace.

use file_service::events::EssayContentProvisionedV1;
use outbox_tests::wait_until;
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::running::{ESSAY, LIMIT, Running, USER, borrowed, many};

async fn refused(request: RequestBuilder, status: StatusCode, code: &str) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let (got, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(
        (got, body["error"]["code"].as_str()),
        (status, Some(code)),
        "{body}"
    );
    assert!(
        body["error"]["message"]
            .as_str()
            .is_some_and(|text| text.len() > 10),
        "{body}"
    );
}

async fn malformed_uploads_are_refused(service: &Running) {
    let (http, files) = (&service.http, service.files_url());
    let essay = || Part::bytes(ESSAY.as_bytes());
    let post = |form| http.post(&files).header("x-user-id", USER).multipart(form);
    let nobody = Form::new().part("files", essay().file_name("a.txt"));
    refused(
        http.post(&files).multipart(nobody),
        StatusCode::UNAUTHORIZED,
        "UNAUTHENTICATED",
    )
    .await;
    let empty = http
        .post(&files)
        .header("x-user-id", USER)
        .header("content-type", "multipart/form-data; boundary=b")
        .body("--b--\r\n");
    refused(empty, StatusCode::BAD_REQUEST, "NO_FILES").await;
    let other = Form::new().part("file", essay().file_name("a.txt"));
    refused(post(other), StatusCode::BAD_REQUEST, "UNKNOWN_FIELD").await;
    let unnamed = Form::new().part("files", essay());
    refused(post(unnamed), StatusCode::BAD_REQUEST, "INVALID_FILE_NAME").await;
    let plain = http.post(&files).header("x-user-id", USER).body("hello");
    refused(plain, StatusCode::BAD_REQUEST, "INVALID_FORM").await;
    let mangled = service
        .upload(&[("a.txt", ESSAY.as_bytes())])
        .header("x-correlation-id", "me");
    refused(mangled, StatusCode::BAD_REQUEST, "INVALID_CORRELATION_ID").await;
    let keyless = service
        .upload(&[("a.txt", ESSAY.as_bytes())])
        .header("idempotency-key", "");
    refused(keyless, StatusCode::BAD_REQUEST, "INVALID_IDEMPOTENCY_KEY").await;
}

async fn uploads_beyond_a_limit_are_refused(service: &Running) {
    let large = "x".repeat(100_001);
    let one_large = [("a.txt", ESSAY.as_bytes()), ("b.txt", large.as_bytes())];
    refused(
        service.upload(&one_large),
        StatusCode::PAYLOAD_TOO_LARGE,
        "FILE_TOO_LARGE",
    )
    .await;
    let many = many(51);
    refused(
        service.upload(&borrowed(&many)),
        StatusCode::PAYLOAD_TOO_LARGE,
        "TOO_MANY_FILES",
    )
    .await;
    let full = "x".repeat(100_000);
    let all_full: Vec<(&str, &[u8])> = vec![("a.txt", full.as_bytes()); 11];
    refused(
        service.upload(&all_full),
        StatusCode::PAYLOAD_TOO_LARGE,
        "REQUEST_TOO_LARGE",
    )
    .await;
}

async fn wrong_paths_and_methods_are_refused(service: &Running) {
    let files = service.files_url();
    let get = |url: String| service.http.get(url).header("x-user-id", USER);
    let id = Uuid::new_v4();
    refused(get(format!("{files}/{id}")), StatusCode::NOT_FOUND, "NOT_FOUND").await;
    refused(get(format!("{files}/7")), StatusCode::BAD_REQUEST, "INVALID_PATH").await;
    refused(
        get(format!("{files}/{id}/text")),
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
    )
    .await;
    refused(
        service.http.put(&files),
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
    )
    .await;
    let control = files.replace(&service.batch, "a%00b");
    refused(get(control), StatusCode::BAD_REQUEST, "INVALID_BATCH_ID").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_says_why_and_leaves_nothing() {
    let service = Running::start().await;
    malformed_uploads_are_refused(&service).await;
    uploads_beyond_a_limit_are_refused(&service).await;
    wrong_paths_and_methods_are_refused(&service).await;
    assert_eq!((service.files().await.len(), service.contents().await), (0, 0));
    service.test.assert_nothing_else().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_can_be_asked_for() {
    let service = Running::start().await;
    let id = service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await[0];
    service.processed().await;
    let url = format!("{}/{id}", service.files_url());
    let file: Value = service
        .http
        .get(url)
        .header("x-user-id", USER)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(file["file_upload_id"], id.to_string());
    assert_eq!(file["status"], "COMPLETED");
    assert_eq!(file["batch_id"], service.batch);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reports_database_and_relay() {
    let service = Running::start().await;
    service.accepted(&[("essay.txt", ESSAY.as_bytes())]).await;
    service.processed().await;
    service.test.consume::<EssayContentProvisionedV1>(1).await;
    let url = service
        .files_url()
        .replace(&format!("/v1/batches/{}/files", service.batch), "/health");
    // The broker has a record before the relay knows.
    let delivered = wait_until("two deliveries", LIMIT, async || {
        let response = service.http.get(&url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let health: Value = response.json().await.unwrap();
        (health["delivered"] == 2).then_some(health)
    });
    let health = delivered.await;
    assert_eq!(
        (&health["database"], &health["relaying"]),
        (&true.into(), &true.into())
    );
}
