//! The relay has a span for a batch, and one for each record on request.

use opentelemetry::trace::SpanKind;
use outbox_runtime::{
    DeliveryMode, EventContext, KafkaPublisher, Outbox, OutboxMessage, Payload, PostgresStore, Relay,
    RelayConfig,
};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, servers};
use tokio_util::sync::CancellationToken;

use crate::recorded::{Trace, assert_is, attribute};

/// As many as three spans have links for, and some.
const RECORDS: usize = 300;

async fn batches(delivery: DeliveryMode, record_spans: bool, spans: usize) {
    let trace = Trace::new(true);
    let topic = Topic::create("batches", 1).await;
    let database = TestDatabase::postgres().await;
    let outbox = Outbox::new(database.pool.clone());
    let context = EventContext::new().trace(&trace.traceparent, None);
    let emitted: Result<(), outbox_runtime::Error> = EventContext::scope(
        context,
        outbox.transaction(async |tx| {
            for record in 0..RECORDS {
                let message = OutboxMessage::builder(topic.name(), record.to_string())
                    .aggregate_type("order")
                    .event_type("OrderPlacedV1")
                    .payload(Payload::Json("{}".to_owned()));
                tx.emit_message(message.build())?;
            }
            Ok(())
        }),
    )
    .await;
    emitted.unwrap();
    // A trace that was set by hand is not replaced by that of a span.
    assert!(trace.spans().is_empty(), "{:#?}", trace.spans());

    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let config = RelayConfig::new().delivery(delivery).record_spans(record_spans);
    let relay = Relay::builder(PostgresStore::new(&database.pool), publisher).config(config);
    relay
        .build()
        .unwrap()
        .drain(CancellationToken::new())
        .await
        .unwrap();

    let sends = trace.linked();
    let count = |span| -> usize {
        attribute(span, "messaging.batch.message_count")
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(sends.iter().map(count).sum::<usize>(), RECORDS);
    assert_eq!(sends.iter().map(|send| send.links.len()).sum::<usize>(), RECORDS);
    assert_eq!(sends.iter().map(|send| send.links.dropped_count).sum::<u32>(), 0);
    assert_eq!(sends.len(), spans, "{sends:#?}");
    for send in &sends {
        assert_is(
            send,
            SpanKind::Client,
            &[("messaging.destination.name", topic.name())],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_span_is_one_for_many_records() {
    batches(DeliveryMode::AtLeastOnce, false, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_exactly_once() {
    batches(DeliveryMode::ExactlyOnce, false, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_span_is_one_for_each_record_on_request() {
    batches(DeliveryMode::AtLeastOnce, true, RECORDS).await;
    batches(DeliveryMode::ExactlyOnce, true, RECORDS).await;
}
