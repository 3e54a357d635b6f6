//! A record that leaves the dead letters has a "send" span again, and a failure marks the span of its record.

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use outbox_runtime::publisher::PublishErrorKind;
use outbox_runtime::store::{DeadLetterFilter, DeadLetters};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{
    DeliveryMode, EventContext, KafkaPublisher, Outbox, OutboxMessage, Payload, PostgresStore, Relay,
    RelayConfig, Tables,
};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, servers, wait_until};
use sqlx::{PgPool, Postgres};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::recorded::{LIMIT, Trace, assert_is, attribute};

/// Commits an event for each key.
async fn emit(outbox: &Outbox<Postgres>, trace: &Trace, topic: &str, keys: &[&str]) -> Vec<Uuid> {
    let context = EventContext::new().trace(&trace.traceparent, None);
    let emitted: Result<Vec<Uuid>, outbox_runtime::Error> = EventContext::scope(
        context,
        outbox.transaction(async |tx| {
            let mut ids = Vec::new();
            for key in keys {
                let message = OutboxMessage::builder(topic, *key)
                    .aggregate_type("order")
                    .event_type("OrderPlacedV1")
                    .payload(Payload::Json("{}".to_owned()))
                    .build();
                ids.push(message.id());
                tx.emit_message(message)?;
            }
            Ok(ids)
        }),
    )
    .await;
    emitted.unwrap()
}

async fn count_dead_letters(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox_dead_letters")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// What went wrong, by the span's own account.
fn failure(span: &SpanData) -> Option<String> {
    let error = attribute(span, "error.type");
    assert_eq!(error.is_some(), span.status != Status::Unset, "{span:#?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_marks_the_span_of_its_record_and_no_other() {
    let (trace, broker, database) = (
        Trace::new(true),
        MemoryBroker::new(),
        TestDatabase::postgres().await,
    );
    let ids = emit(
        &Outbox::new(database.pool.clone()),
        &trace,
        "orders",
        &["a", "b", "c"],
    )
    .await;
    broker.fail(ids[1], PublishErrorKind::Record("too_large"));
    let config = RelayConfig::new().record_spans(true);
    let relay = || {
        Relay::builder(PostgresStore::new(&database.pool), broker.publisher())
            .config(config.clone())
            .build()
            .unwrap()
    };
    relay().drain(CancellationToken::new()).await.unwrap();
    let failures: Vec<_> = trace.linked().iter().map(failure).collect();
    assert_eq!(failures, [None, Some("record".to_owned()), None]);

    // Its replay is another attempt, with a span of its own.
    let dead_letters = DeadLetters::in_postgres(&database.pool, &Tables::default());
    let everything = DeadLetterFilter::default();
    broker.fail(ids[1], PublishErrorKind::Record("too_large"));
    for failed in [Some("record".to_owned()), None] {
        dead_letters.request_replay(&everything).await.unwrap();
        let before = trace.linked().len();
        relay().drain(CancellationToken::new()).await.unwrap();
        let spans = trace.linked();
        assert_eq!(spans.len(), before + 1, "{spans:#?}");
        assert_eq!(failure(&spans[before]), failed);
    }
    assert_eq!(broker.ids(), [ids[0], ids[2], ids[1]]);
    assert_eq!(count_dead_letters(&database.pool).await, 0);
}

/// Three records wait for a topic that is not there yet.
async fn records_that_waited(delivery: DeliveryMode, block: &[&str]) {
    let (trace, database) = (Trace::new(true), TestDatabase::postgres().await);
    let name = format!("redelivered-{}", Uuid::new_v4().simple());
    let topic = Topic::named(&servers::brokers(), &name, 1);
    let well = Topic::create("well", 1).await;
    let config = RelayConfig::new()
        .delivery(delivery)
        .block(block.iter().map(|topic| (*topic).to_owned()).collect());
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let relay = Relay::builder(PostgresStore::new(&database.pool), publisher)
        .config(config)
        .build()
        .unwrap()
        .spawn();
    let outbox = Outbox::new(database.pool.clone());
    emit(&outbox, &trace, topic.name(), &["a", "a", "b"]).await;
    // A topic is suspended once another one takes records.
    emit(&outbox, &Trace::new(false), well.name(), &["c"]).await;
    wait_until("records to be parked", LIMIT, async || {
        (count_dead_letters(&database.pool).await == 3).then_some(())
    })
    .await;
    topic.ensure().await;
    wait_until("records to leave the dead letters", LIMIT, async || {
        (count_dead_letters(&database.pool).await == 0).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    assert_eq!(topic.read_all().await.len(), 3);
    let sent: Vec<SpanData> = trace.linked();
    let sent: Vec<&SpanData> = sent.iter().filter(|span| failure(span).is_none()).collect();
    assert_eq!(
        sent.iter().map(|span| span.links.len()).sum::<usize>(),
        3,
        "{sent:#?}"
    );
    for span in sent {
        assert_is(
            span,
            SpanKind::Client,
            &[("messaging.destination.name", topic.name())],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_waited_have_spans_at_least_once() {
    records_that_waited(DeliveryMode::AtLeastOnce, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_waited_have_spans() {
    records_that_waited(DeliveryMode::AtLeastOnce, &["redelivered-*"]).await;
    records_that_waited(DeliveryMode::ExactlyOnce, &["redelivered-*"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_waited_have_spans_exactly_once() {
    records_that_waited(DeliveryMode::ExactlyOnce, &[]).await;
}
