//! One trace: from a request through two services.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SpanData;
use outbox_runtime::consumer::RunningConsumer;
use outbox_runtime::{
    Consumer, KafkaPublisher, Outbox, OutboxMessage, Payload, PostgresStore, Relay, RunningRelay,
};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, servers, wait_until};
use sqlx::Postgres;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::recorded::{LIMIT, Trace, assert_child, assert_is, assert_linked, attribute};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A service with a database and a relay of its own.
struct Service {
    database: TestDatabase<Postgres>,
    outbox: Outbox<Postgres>,
    relay: Option<RunningRelay>,
}

impl Service {
    async fn new() -> Self {
        let database = TestDatabase::postgres().await;
        let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
        let relay = Relay::builder(PostgresStore::new(&database.pool), publisher)
            .build()
            .unwrap();
        Self {
            outbox: Outbox::new(database.pool.clone()),
            relay: Some(relay.spawn()),
            database,
        }
    }

    /// A consumer that answers each message with one to `next`, if there is a next.
    fn consumer(&self, topic: &Topic, next: Option<&Topic>) -> RunningConsumer {
        let next = next.map(|topic| topic.name().to_owned());
        let consumer = Consumer::builder(&self.outbox, servers::brokers(), group(topic))
            .topic(topic.name())
            .on_topic_message(topic.name(), async move |tx, _message, ()| {
                if let Some(next) = &next {
                    tx.emit_message(message(next))?;
                }
                Ok::<_, outbox_runtime::Error>(())
            });
        consumer.build().unwrap().spawn()
    }

    /// The `traceparent` of the only message of a topic.
    async fn stored(&self, topic: &Topic) -> Option<String> {
        sqlx::query_scalar("SELECT headers ->> 'traceparent' FROM outbox_messages WHERE topic = $1")
            .bind(topic.name())
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    async fn stop(mut self) {
        if let Some(relay) = self.relay.take() {
            relay.stop().await.unwrap();
        }
    }
}

fn group(topic: &Topic) -> String {
    format!("group-{}", topic.name())
}

fn message(topic: &str) -> OutboxMessage {
    OutboxMessage::builder(topic, "k")
        .aggregate_type("order")
        .event_type("OrderPlacedV1")
        .payload(Payload::Json("{}".to_owned()))
        .build()
}

/// The HTTP side of the first service.
async fn place(State((outbox, topic)): State<(Outbox<Postgres>, String)>, headers: HeaderMap) {
    let parent = headers["traceparent"].to_str().unwrap().to_owned();
    let carrier = std::collections::HashMap::from([("traceparent".to_owned(), parent)]);
    let span = tracing::info_span!("request", otel.name = "POST /orders", otel.kind = "server");
    span.set_parent(TraceContextPropagator::new().extract(&carrier))
        .unwrap();
    let placed: Result<(), Failure> = outbox
        .transaction(async |tx| {
            tx.emit_message(message(&topic))?;
            Ok(())
        })
        .instrument(span)
        .await;
    placed.unwrap();
}

async fn request(outbox: &Outbox<Postgres>, topic: &Topic, trace: &Trace) {
    let routes = Router::new()
        .route("/orders", post(place))
        .with_state((outbox.clone(), topic.name().to_owned()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let request = reqwest::Client::new()
        .post(url)
        .header("traceparent", &trace.traceparent);
    let response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{response:?}");
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_a_request_through_two_services() {
    let trace = Trace::new(true);
    let (orders, invoices) = tokio::join!(Topic::create("orders", 1), Topic::create("invoices", 1));
    let (shop, billing) = tokio::join!(Service::new(), Service::new());
    let consumers = [
        billing.consumer(&orders, Some(&invoices)),
        shop.consumer(&invoices, None),
    ];
    request(&shop.outbox, &orders, &trace).await;
    let (process_orders, process_invoices) = (
        format!("process {}", orders.name()),
        format!("process {}", invoices.name()),
    );
    trace.until(&process_invoices, 1).await;
    let sends = wait_until("both sends to end", LIMIT, async || {
        let sends = trace.linked();
        (sends.len() == 2).then_some(sends)
    })
    .await;
    for consumer in consumers {
        consumer.stop().await.unwrap();
    }

    let request = trace.only("POST /orders");
    assert_eq!(request.parent_span_id.to_string(), "00f067aa0ba902b7");
    let transactions = trace.named("transaction");
    assert_eq!(transactions.len(), 3, "{transactions:#?}");
    let created = trace.only(&format!("create {}", orders.name()));
    assert_child(&transactions[0], &request);
    assert_child(&created, &transactions[0]);
    assert_created(&created, &orders, shop.stored(&orders).await);
    let processed = trace.only(&process_orders);
    assert_processed(&processed, &orders, &created);

    let answer = trace.only(&format!("create {}", invoices.name()));
    assert_child(&transactions[1], &processed);
    assert_child(&answer, &transactions[1]);
    assert_created(&answer, &invoices, billing.stored(&invoices).await);
    let last = trace.only(&process_invoices);
    assert_processed(&last, &invoices, &answer);
    assert_child(&transactions[2], &last);
    for transaction in &transactions {
        let committed = [
            ("outbox.transaction.outcome", "committed"),
            ("outbox.transaction.attempt", "1"),
        ];
        assert_is(transaction, SpanKind::Internal, &committed);
    }
    for (topic, created) in [(&orders, &created), (&invoices, &answer)] {
        assert_received(&trace.only(&format!("receive {}", topic.name())), topic, created);
        let name = format!("send {}", topic.name());
        let send = sends.iter().find(|span| span.name == name).unwrap();
        assert_sent(send, topic, created);
    }
    shop.stop().await;
    billing.stop().await;
}

/// The context that is stored is that of the create span.
fn assert_created(created: &SpanData, topic: &Topic, stored: Option<String>) {
    assert_is(
        created,
        SpanKind::Producer,
        &[
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "create"),
            ("messaging.operation.type", "create"),
            ("messaging.destination.name", topic.name()),
        ],
    );
    let context = &created.span_context;
    let traceparent = format!("00-{}-{}-01", context.trace_id(), context.span_id());
    assert_eq!(stored, Some(traceparent));
    assert!(attribute(created, "messaging.message.id").is_some());
}

fn assert_processed(processed: &SpanData, topic: &Topic, created: &SpanData) {
    assert_child(processed, created);
    assert_linked(processed, created);
    let id = attribute(created, "messaging.message.id").unwrap();
    assert_is(
        processed,
        SpanKind::Consumer,
        &[
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", topic.name()),
            ("messaging.destination.partition.id", "0"),
            ("messaging.consumer.group.name", &group(topic)),
            ("messaging.message.id", &id),
            ("outbox.outcome", "processed"),
        ],
    );
}

fn assert_received(received: &SpanData, topic: &Topic, created: &SpanData) {
    assert_child(received, created);
    assert_linked(received, created);
    assert_is(
        received,
        SpanKind::Client,
        &[
            ("messaging.operation.name", "receive"),
            ("messaging.operation.type", "receive"),
            ("messaging.destination.name", topic.name()),
        ],
    );
}

fn assert_sent(send: &SpanData, topic: &Topic, created: &SpanData) {
    assert_linked(send, created);
    assert_eq!(send.parent_span_id.to_string(), "0000000000000000");
    assert_is(
        send,
        SpanKind::Client,
        &[
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "send"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", topic.name()),
            ("messaging.batch.message_count", "1"),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_sampled_leaves_no_spans() {
    let trace = Trace::new(false);
    let topic = Topic::create("unsampled", 1).await;
    let service = Service::new().await;
    let consumer = service.consumer(&topic, None);
    request(&service.outbox, &topic, &trace).await;
    wait_until("the message to be processed", LIMIT, async || {
        (consumer.progress().report().processed == 1).then_some(())
    })
    .await;
    consumer.stop().await.unwrap();
    let stored = service.stored(&topic).await.unwrap();
    service.stop().await;
    assert!(trace.spans().is_empty(), "{:#?}", trace.spans());
    assert!(trace.linked().is_empty(), "{:#?}", trace.linked());
    // The trace goes on all the same.
    assert_eq!(stored[..36], trace.traceparent[..36]);
    assert!(stored.ends_with("-00"), "{stored}");
}
