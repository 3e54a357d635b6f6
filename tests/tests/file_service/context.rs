//! Correlation id and trace: from the request's headers to the records' headers.

use uuid::Uuid;

use super::events::{Event, REMOVED};
use super::running::{ESSAY, Running, USER};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "vendor=opaque";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_itself_is_in_the_events_that_it_causes() {
    let mut service = Running::start().await;
    let (upload, removal) = (Uuid::new_v4(), Uuid::new_v4());
    let response = service
        .upload(&[("good.txt", ESSAY.as_bytes()), ("bad.txt", b"")])
        .header("x-correlation-id", upload.to_string())
        .header("traceparent", TRACE)
        .header("tracestate", STATE)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-correlation-id"], upload.to_string());
    let ids = super::running::accepted(response).await;
    service.processed().await;
    let request = service.http.delete(format!("{}/{}", service.files_url(), ids[0]));
    let response = request
        .header("x-user-id", USER)
        .header("x-correlation-id", removal.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 204);

    let events = service.finish().await;
    assert_eq!(events.len(), 5);
    for event in &events {
        let (id, trace, state) = match event.topic() {
            REMOVED => (removal, None, None),
            _ => (upload, Some(TRACE), Some(STATE)),
        };
        assert_eq!(
            event.header("ce_correlationid"),
            Some(&*id.to_string()),
            "{event:?}"
        );
        assert_eq!(event.value["correlation_id"], id.to_string());
        assert_eq!(event.header("traceparent"), trace, "{event:?}");
        assert_eq!(event.header("tracestate"), state, "{event:?}");
    }
}

/// The context of an upload is in its row, so a restart does not lose it.
#[tokio::test(flavor = "multi_thread")]
async fn a_context_outlives_the_process() {
    let mut service = Running::start_with(|config| config.workers = 0).await;
    let id = Uuid::new_v4();
    let request = service.upload(&[("essay.txt", ESSAY.as_bytes())]);
    let request = request
        .header("x-correlation-id", id.to_string())
        .header("traceparent", TRACE);
    super::running::accepted(request.send().await.unwrap()).await;
    service.stop().await;
    service.start_again(|_| {}).await;
    service.processed().await;
    let events = service.finish().await;
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(event.header("ce_correlationid"), Some(&*id.to_string()));
        assert_eq!(event.header("traceparent"), Some(TRACE));
        assert_eq!(event.header("tracestate"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_context_gets_a_correlation_id() {
    let mut service = Running::start().await;
    let request = service.upload(&[("essay.txt", ESSAY.as_bytes())]);
    // A trace that is none is no reason to refuse a file.
    let response = request.header("traceparent", "nonsense").send().await.unwrap();
    let id = response.headers()["x-correlation-id"]
        .to_str()
        .unwrap()
        .to_owned();
    super::running::accepted(response).await;
    service.processed().await;
    let events = service.finish().await;
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(event.header("ce_correlationid"), Some(id.as_str()));
        assert_eq!(event.header("traceparent"), None);
    }
}

/// `ce_*` and the rest, in the order that consumers may rely on.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_those_of_the_contract() {
    let mut service = Running::start().await;
    let request = service.upload(&[("essay.txt", ESSAY.as_bytes())]);
    let request = request.header("traceparent", TRACE).header("tracestate", STATE);
    super::running::accepted(request.send().await.unwrap()).await;
    service.processed().await;
    let events = service.finish().await;
    let database = service.database.pool.connect_options();
    for event in &events {
        let names: Vec<&str> = event
            .record
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
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
        assert_eq!(event.header("ce_specversion"), Some("1.0"));
        assert_eq!(event.header("content-type"), Some("application/json"));
        let source = format!("/{}", database.get_database().unwrap());
        assert_eq!(event.header("ce_source"), Some(source.as_str()));
        assert_eq!(id(event).get_version_num(), 7);
    }
    assert_ne!(id(&events[0]), id(&events[1]));
}

fn id(event: &Event) -> Uuid {
    event.record.event_id().unwrap()
}
