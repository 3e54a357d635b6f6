//! Spans and metrics over OTLP: HTTP with protobuf, to a receiver that decodes them by OpenTelemetry's own definitions.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use metrics_exporter_opentelemetry::Recorder;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_sdk::trace::SdkTracerProvider;
use outbox_runtime::{Outbox, OutboxMessage};
use outbox_tests::{TestDatabase, wait_until};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::recorded::{FILTER, LIMIT};

/// A receiver at this path: where to export to, and what came.
async fn receiver<M: prost::Message + Default + 'static>(path: &str) -> (String, Arc<Mutex<Vec<M>>>) {
    let received: Arc<Mutex<Vec<M>>> = Arc::default();
    let requests = Arc::clone(&received);
    let routes = Router::new().route(
        path,
        post(async move |body: Bytes| {
            let request = M::decode(body).unwrap();
            requests.lock().unwrap().push(request);
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, received)
}

/// Emits an event into a database of its own.
async fn emit() {
    let database = TestDatabase::sqlite().await;
    let outbox = Outbox::new(database.pool.clone());
    let emitted: Result<(), outbox_runtime::Error> = outbox
        .transaction(async |tx| {
            let message = OutboxMessage::builder("orders", "k")
                .aggregate_type("order")
                .event_type("OrderPlacedV1");
            tx.emit_message(message.build()).map(drop)
        })
        .await;
    emitted.unwrap();
}

#[tokio::test]
async fn spans_arrive_over_otlp() {
    let (url, received) = receiver::<ExportTraceServiceRequest>("/v1/traces").await;
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

    let subscribed = tracing::subscriber::set_default(subscriber);
    emit().await;
    drop(subscribed);
    // The driver's thread may still hold the transaction's span, which ends with its last owner.
    let (transaction, created) = wait_until("both spans", LIMIT, async || {
        let provider = provider.clone();
        tokio::task::spawn_blocking(move || provider.force_flush())
            .await
            .unwrap()
            .unwrap();
        let requests = received.lock().unwrap();
        let scopes = requests
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans);
        let spans: Vec<_> = scopes.flat_map(|scope| &scope.spans).collect();
        let named = |name: &str| spans.iter().find(|span| span.name == name).copied().cloned();
        named("transaction").zip(named("create orders"))
    })
    .await;
    tokio::task::spawn_blocking(move || provider.shutdown())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(created.parent_span_id, transaction.span_id);
    assert_eq!(created.kind(), SpanKind::Producer);
    let destination = created
        .attributes
        .iter()
        .find(|attribute| attribute.key == "messaging.destination.name");
    assert!(destination.is_some(), "{created:#?}");
}

#[tokio::test]
async fn metrics_arrive_over_otlp() {
    let (url, received) = receiver::<ExportMetricsServiceRequest>("/v1/metrics").await;
    let (provider, recorder) = tokio::task::spawn_blocking(move || {
        let exporter = MetricExporter::builder().with_http().with_endpoint(url);
        let exporter = exporter.build().unwrap();
        Recorder::builder("test")
            .with_meter_provider(|provider| provider.with_periodic_exporter(exporter))
            .build()
    })
    .await
    .unwrap();
    let recording = metrics::set_default_local_recorder(&recorder);
    emit().await;
    drop(recording);
    tokio::task::spawn_blocking(move || provider.shutdown())
        .await
        .unwrap()
        .unwrap();

    let requests = received.lock().unwrap();
    let scopes = requests
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|resource| &resource.scope_metrics);
    let metrics: Vec<_> = scopes.flat_map(|scope| &scope.metrics).collect();
    let transactions = metrics
        .iter()
        .filter(|metric| metric.name == outbox_runtime::metrics::series::TRANSACTIONS.name);
    let points = transactions.flat_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points[..],
        other => panic!("{other:?}"),
    });
    let committed: Vec<_> = points.filter_map(|point| point.value).collect();
    assert!(committed.contains(&Value::AsInt(1)), "{metrics:#?}");
}
