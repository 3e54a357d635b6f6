//! Attempts at a transaction, and their outcomes.

use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use outbox_runtime::{Outbox, OutboxMessage, OutboxTx, TransactionOptions};
use outbox_tests::TestDatabase;
use sqlx::Postgres;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::recorded::{Trace, assert_child, assert_is};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn emit(tx: &mut OutboxTx<'_, Postgres>) -> Result<(), outbox_runtime::Error> {
    let message = OutboxMessage::builder("orders", "k")
        .aggregate_type("order")
        .event_type("OrderPlacedV1");
    tx.emit_message(message.build()).map(drop)
}

/// A span of the service, in this trace.
fn request(trace: &Trace) -> tracing::Span {
    let mut parts = trace.traceparent.split('-').skip(1);
    let context = opentelemetry::trace::SpanContext::new(
        opentelemetry::trace::TraceId::from_hex(parts.next().unwrap()).unwrap(),
        opentelemetry::trace::SpanId::from_hex(parts.next().unwrap()).unwrap(),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        opentelemetry::trace::TraceState::default(),
    );
    let span = tracing::info_span!("request");
    span.set_parent(opentelemetry::Context::new().with_remote_span_context(context))
        .unwrap();
    span
}

#[tokio::test]
async fn each_attempt_has_a_span_with_its_outcome() {
    let trace = Trace::new(true);
    let database = TestDatabase::postgres().await;
    let outbox = Outbox::new(database.pool.clone());
    let attempts = AtomicU32::new(0);
    let retried: Result<(), Failure> = outbox
        .transaction_with(TransactionOptions::new().retry(2), async |tx| {
            emit(tx)?;
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                sqlx::query("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$")
                    .execute(&mut **tx)
                    .await?;
            }
            Ok(())
        })
        .instrument(request(&trace))
        .await;
    retried.unwrap();

    let (transactions, created) = (trace.named("transaction"), trace.named("create orders"));
    assert_eq!((transactions.len(), created.len()), (2, 2));
    for ((transaction, created), (attempt, outcome)) in transactions
        .iter()
        .zip(&created)
        .zip([("1", "rolled_back"), ("2", "committed")])
    {
        assert_child(created, transaction);
        let attributes = [
            ("outbox.transaction.attempt", attempt),
            ("outbox.transaction.outcome", outcome),
        ];
        assert_is(transaction, SpanKind::Internal, &attributes);
        assert_child(transaction, &trace.only("request"));
    }
    assert_is(
        &transactions[1],
        SpanKind::Internal,
        &[("outbox.transaction.events", "1")],
    );
}

#[tokio::test]
async fn a_transaction_that_fails_is_rolled_back() {
    let trace = Trace::new(true);
    let database = TestDatabase::postgres().await;
    let outbox = Outbox::new(database.pool.clone());
    let failed: Result<(), Failure> = outbox
        .transaction(async |tx| {
            emit(tx)?;
            Err("no".into())
        })
        .instrument(request(&trace))
        .await;
    assert!(failed.is_err());
    let outcome = [("outbox.transaction.outcome", "rolled_back")];
    assert_is(&trace.only("transaction"), SpanKind::Internal, &outcome);
}
