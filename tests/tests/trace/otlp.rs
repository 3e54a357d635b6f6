//! Spans over OTLP: HTTP with protobuf, to a receiver that decodes them by OpenTelemetry's own definitions.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_sdk::trace::SdkTracerProvider;
use outbox_runtime::{Outbox, OutboxMessage};
use outbox_tests::TestDatabase;
use prost::Message as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::recorded::FILTER;

/// Where spans are exported to, and what came.
async fn receiver() -> (String, Arc<Mutex<Vec<Span>>>) {
    let received: Arc<Mutex<Vec<Span>>> = Arc::default();
    let spans = Arc::clone(&received);
    let routes = Router::new().route(
        "/v1/traces",
        post(async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request
                .resource_spans
                .into_iter()
                .flat_map(|resource| resource.scope_spans);
            spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, received)
}

#[tokio::test]
async fn spans_arrive_over_otlp() {
    let (url, received) = receiver().await;
    let provider = tokio::task::spawn_blocking(move || {
        let exporter = SpanExporter::builder().with_http().with_endpoint(url);
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build().unwrap())
            .build()
    })
    .await
    .unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry()
        .with(EnvFilter::new(FILTER))
        .with(layer);

    let database = TestDatabase::sqlite().await;
    let outbox = Outbox::new(database.pool.clone());
    let subscribed = tracing::subscriber::set_default(subscriber);
    let emitted: Result<(), outbox_runtime::Error> = outbox
        .transaction(async |tx| {
            let message = OutboxMessage::builder("orders", "k")
                .aggregate_type("order")
                .event_type("OrderPlacedV1");
            tx.emit_message(message.build()).map(drop)
        })
        .await;
    emitted.unwrap();
    drop(subscribed);
    tokio::task::spawn_blocking(move || provider.shutdown())
        .await
        .unwrap()
        .unwrap();

    let spans = received.lock().unwrap();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (transaction, created) = (named("transaction"), named("create orders"));
    assert_eq!(created.parent_span_id, transaction.span_id);
    assert_eq!(created.kind(), SpanKind::Producer);
    let destination = created
        .attributes
        .iter()
        .find(|attribute| attribute.key == "messaging.destination.name");
    assert!(destination.is_some(), "{created:#?}");
}
