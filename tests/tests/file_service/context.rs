//! Correlation id and trace: from the request's headers to the records' headers.

use file_service::events::{BatchFileAddedV1, EssayContentProvisionedV1};
use outbox_runtime::OutboxMessage;
use uuid::Uuid;

use super::running::{ESSAY, Running, USER, accepted};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "vendor=opaque";

/// Correlation id, trace and its state, as they are stored.
fn context(message: &OutboxMessage) -> [Option<&str>; 3] {
    ["ce_correlationid", "traceparent", "tracestate"].map(|name| {
        let mut headers = message.headers().iter();
        headers
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_itself_is_in_the_events_that_it_causes() {
    let service = Running::start().await;
    let (upload, removal) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let response = service
        .upload(&[("good.txt", ESSAY.as_bytes()), ("bad.txt", b"")])
        .header("x-correlation-id", &upload)
        .header("traceparent", TRACE)
        .header("tracestate", STATE)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-correlation-id"], upload);
    let ids = accepted(response).await;
    service.processed().await;
    let request = service.http.delete(format!("{}/{}", service.files_url(), ids[0]));
    let request = request
        .header("x-user-id", USER)
        .header("x-correlation-id", &removal);
    assert_eq!(request.send().await.unwrap().status(), 204);

    let messages = service.test.messages().await;
    assert_eq!(messages.len(), 5);
    for message in &messages {
        let expected = match message.event_type() {
            "BatchFileRemovedV1" => [Some(removal.as_str()), None, None],
            _ => [Some(upload.as_str()), Some(TRACE), Some(STATE)],
        };
        assert_eq!(context(message), expected, "{message:?}");
    }
}

/// The context of an upload is in its row, so a restart does not lose it.
#[tokio::test(flavor = "multi_thread")]
async fn a_context_outlives_the_process() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let id = Uuid::new_v4().to_string();
    let request = service.upload(&[("essay.txt", ESSAY.as_bytes())]);
    let request = request
        .header("x-correlation-id", &id)
        .header("traceparent", TRACE);
    accepted(request.send().await.unwrap()).await;
    service.stop().await;
    service.start_again(|_| {}).await;
    service.processed().await;
    let messages = service.test.messages().await;
    assert_eq!(messages.len(), 2);
    for message in &messages {
        assert_eq!(context(message), [Some(id.as_str()), Some(TRACE), None]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_context_gets_a_correlation_id() {
    let service = Running::start().await;
    let request = service.upload(&[("essay.txt", ESSAY.as_bytes())]);
    // A trace that is none is no reason to refuse a file.
    let response = request.header("traceparent", "nonsense").send().await.unwrap();
    let id = response.headers()["x-correlation-id"]
        .to_str()
        .unwrap()
        .to_owned();
    accepted(response).await;
    for message in &service.test.messages().await {
        assert_eq!(context(message), [Some(id.as_str()), None, None]);
    }
}

/// `ce_*` and the rest, in the order that consumers may rely on, as the broker of the tests gives them.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_those_of_the_contract() {
    let mut service = Running::stopped_with_kafka().await;
    service.start_again(|_| {}).await;
    let request = service.upload(&[("essay.txt", ESSAY.as_bytes())]);
    let request = request.header("traceparent", TRACE).header("tracestate", STATE);
    accepted(request.send().await.unwrap()).await;
    service.processed().await;
    let added = service.test.consume::<BatchFileAddedV1>(1).await;
    let ready = service.test.consume::<EssayContentProvisionedV1>(1).await;
    let database = service.test.pool().connect_options();
    let source = format!("/{}", database.get_database().unwrap());
    for record in [added[0].record(), ready[0].record()] {
        let names: Vec<&str> = record.headers().iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "content-type",
            "ce_correlationid",
            "traceparent",
            "tracestate",
        ];
        assert_eq!(names, expected);
        assert_eq!(record.header("ce_specversion"), Some("1.0"));
        assert_eq!(record.header("content-type"), Some("application/json"));
        assert_eq!(record.header("ce_source"), Some(source.as_str()));
        let id: Uuid = record.header("ce_id").unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
    assert_eq!(added[0].record().key(), Some(service.batch.as_bytes()));
    let (event, at) = (&ready[0], ready[0].record().timestamp_ms());
    assert_eq!(
        event.record().key(),
        Some(event.file_upload_id.to_string().as_bytes())
    );
    assert_eq!(at, Some(event.timestamp.timestamp_millis()));
}
