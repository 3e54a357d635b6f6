//! The test kit fails where a test should fail, and says why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use sqlx::Sqlite;

use outbox_runtime::testkit::{TestBroker, TestOutbox};
use outbox_runtime::{ErrorKind, EventContext, Outbox, OutboxEvent, OutboxTx, Payload, transactional};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.placed.v1", aggregate = "order", key = order_id, headers("x-tenant" = tenant))]
struct PlacedV1 {
    order_id: i64,
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.paid.v1", aggregate = "order", key = order_id)]
struct PaidV1 {
    order_id: i64,
}

/// Another event of the same shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.returned.v1", aggregate = "order", key = order_id)]
struct ReturnedV1 {
    order_id: i64,
}

fn placed(order_id: i64) -> PlacedV1 {
    PlacedV1 {
        order_id,
        tenant: "acme".to_owned(),
    }
}

#[transactional]
async fn place(tx: &mut OutboxTx<'_, Sqlite>, order_id: i64) -> Result<(), outbox_runtime::Error> {
    tx.emit(placed(order_id))?;
    tx.emit(PaidV1 { order_id })?;
    Ok(())
}

async fn refuse(outbox: &Outbox<Sqlite>) {
    let refused = outbox.transaction(async |tx| {
        tx.emit(PaidV1 { order_id: 9 })?;
        Err::<(), Box<dyn std::error::Error + Send + Sync>>("refused".into())
    });
    refused.await.expect_err("it is refused");
}

/// What an assertion says that fails.
async fn failure<T>(assertion: impl Future<Output = T>) -> String {
    let failed = AssertUnwindSafe(assertion).catch_unwind().await;
    let panic = failed.err().expect("the assertion fails");
    *panic.downcast::<String>().expect("it says why")
}

async fn two_events() -> TestOutbox<Sqlite> {
    let test = TestOutbox::<Sqlite>::new().await;
    EventContext::scope(EventContext::new().correlation_id("c-1"), place(test.outbox(), 7))
        .await
        .expect("it commits");
    refuse(test.outbox()).await;
    test
}

#[tokio::test]
async fn what_was_committed_is_found_by_its_type() {
    let test = two_events().await;
    assert_eq!(test.emitted::<PlacedV1>().await, [placed(7)]);
    assert_eq!(test.emitted::<PaidV1>().await, [PaidV1 { order_id: 7 }]);
    assert_eq!(test.emitted::<ReturnedV1>().await.len(), 0);
    let placed = test.assert_emitted::<PlacedV1>(|event| event.order_id == 7).await;
    assert_eq!(placed.header("x-tenant"), Some("acme"));
    assert_eq!(placed.header("ce_correlationid"), Some("c-1"));
    assert_eq!(placed.message().key(), "7");
    test.assert_emitted::<PaidV1>(|_| true).await;
    test.assert_nothing_else().await;
}

#[tokio::test]
async fn an_event_is_asserted_once() {
    let test = two_events().await;
    test.assert_emitted::<PaidV1>(|_| true).await;
    let says = failure(test.assert_emitted::<PaidV1>(|_| true)).await;
    assert!(
        says.contains("no `PaidV1`") && says.contains("2. (asserted) PaidV1 to testkit.paid.v1, key 7"),
        "{says}"
    );
    let says = failure(test.assert_nothing_else()).await;
    assert!(
        says.contains("1 of 2 emitted events") && says.contains("1. PlacedV1 to testkit.placed.v1, key 7"),
        "{says}"
    );
    assert!(says.contains(file!()), "the caller is not named: {says}");
}

#[tokio::test]
async fn a_sequence_is_compared_by_order_header_and_payload() {
    let test = two_events().await;
    let (paid, other) = (PaidV1 { order_id: 7 }, PaidV1 { order_id: 8 });
    let says = failure(test.assert_emitted_exactly(&[&placed(7), &other])).await;
    assert!(
        says.contains("-PaidV1 to testkit.paid.v1, key 8")
            && says.contains("+PaidV1 to testkit.paid.v1, key 7"),
        "{says}"
    );
    failure(test.assert_emitted_exactly(&[&paid, &placed(7)])).await;
    failure(test.assert_emitted_exactly(&[&placed(7)])).await;
    let tenant = PlacedV1 {
        tenant: "other".to_owned(),
        ..placed(7)
    };
    let says = failure(test.assert_emitted_exactly(&[&tenant, &paid])).await;
    assert!(
        says.contains("-  x-tenant: other") && says.contains("+  x-tenant: acme"),
        "{says}"
    );
    test.assert_emitted_exactly(&[&placed(7), &paid]).await;
    test.assert_nothing_else().await;
}

#[tokio::test]
async fn an_event_that_does_not_decode_is_reported() {
    let test = TestOutbox::<Sqlite>::new().await;
    let message = outbox_runtime::OutboxMessage::builder("testkit.paid.v1", "7")
        .event_type("PaidV1")
        .aggregate_type("order")
        .payload(Payload::Json(r#"{"id":7}"#.to_owned()))
        .build();
    let emitted = test.outbox().transaction(async |tx| tx.emit_message(message));
    emitted.await.expect("it commits");
    let says = failure(test.assert_emitted::<PaidV1>(|_| true)).await;
    assert!(says.contains("missing field `order_id`"), "{says}");
}

#[tokio::test]
async fn commits_fail_on_request() {
    let test = TestOutbox::<Sqlite>::new().await;
    test.fail_before_commit();
    test.fail_after_commit();
    let kind = async |number| place(test.outbox(), number).await.map_err(|error| error.kind());
    assert_eq!(kind(1).await, Err(ErrorKind::Database));
    assert_eq!(test.messages().await.len(), 0);
    assert_eq!(kind(2).await, Err(ErrorKind::CommitOutcomeUnknown { xid: None }));
    assert_eq!(kind(3).await, Ok(()));
    let paid: Vec<i64> = test
        .emitted::<PaidV1>()
        .await
        .iter()
        .map(|event| event.order_id)
        .collect();
    assert_eq!(paid, [2, 3]);
}

#[tokio::test]
async fn relayed_events_are_read_back() {
    let test = two_events().await;
    test.broker().down();
    let read = failure(test.consume::<PaidV1>(1)).await;
    assert!(read.contains("0 of 1 events of the type `PaidV1`"), "{read}");
    let (relayed, ()) = tokio::join!(test.relay_until_empty(), async { test.broker().up() });
    assert_eq!(relayed.delivered, 2);
    let paid = test.consume::<PaidV1>(1).await;
    assert_eq!(paid, [PaidV1 { order_id: 7 }]);
    assert_eq!(paid[0].record().event_type(), Some("PaidV1"));
    failure(test.consume::<PaidV1>(2)).await;
}

#[tokio::test]
async fn an_outbox_is_tested_in_a_database_that_is_there() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await;
    let test = TestOutbox::on(&pool.expect("SQLite works in memory")).await;
    place(test.outbox(), 1).await.expect("it commits");
    test.assert_emitted::<PaidV1>(|event| event.order_id == 1).await;
}

#[tokio::test]
async fn outboxes_may_share_a_broker() {
    let broker = TestBroker::memory();
    let first = TestOutbox::<Sqlite>::new().await.with_broker(&broker);
    let second = TestOutbox::<Sqlite>::new().await.with_broker(&broker);
    for (test, number) in [(&first, 1), (&second, 2)] {
        place(test.outbox(), number).await.expect("it commits");
        test.relay_until_empty().await;
    }
    // Databases of their own, and of what is in the broker each its own.
    assert_eq!(first.consume::<PaidV1>(1).await, [PaidV1 { order_id: 1 }]);
    assert_eq!(second.consume::<PaidV1>(1).await, [PaidV1 { order_id: 2 }]);
}

#[cfg(feature = "kafka")]
mod with_kafka {
    use std::sync::LazyLock;

    use super::*;
    use outbox_runtime::{Consumer, InboxMessage};
    use tokio_util::sync::CancellationToken;

    async fn refund(
        tx: &mut OutboxTx<'_, Sqlite>,
        _: &InboxMessage,
        event: PaidV1,
    ) -> Result<(), outbox_runtime::Error> {
        let PaidV1 { order_id } = event;
        tx.emit(ReturnedV1 { order_id }).map(drop)
    }

    fn consumer(test: &TestOutbox<Sqlite>) -> Consumer<Sqlite> {
        Consumer::builder(test.outbox(), test.broker().brokers(), "refunds")
            .topic("testkit.paid.v1")
            .on("PaidV1", refund)
            .build()
            .expect("the settings are valid")
    }

    #[tokio::test]
    async fn everything_is_redelivered_and_processed_once() {
        let test = two_events().await;
        test.relay_until_empty().await;
        let consumer = consumer(&test);
        test.fail_before_commit();
        test.broker().deliver_to(&consumer).await;
        test.broker().deliver_to(&consumer).await;
        let report = consumer.progress().report();
        assert_eq!((report.processed, report.outages, report.duplicates), (1, 1, 1));
        let returned = test
            .assert_emitted::<ReturnedV1>(|event| event.order_id == 7)
            .await;
        assert_eq!(returned.header("ce_correlationid"), Some("c-1"));
        assert_eq!(test.emitted::<ReturnedV1>().await.len(), 1);
    }

    #[tokio::test]
    async fn the_mock_cluster_is_relayed_to_and_read() {
        let test = two_events().await.with_broker(&TestBroker::mock_kafka());
        test.broker().down();
        let (relayed, ()) = tokio::join!(test.relay_until_empty(), async {
            tokio::task::yield_now().await;
            test.broker().up();
        });
        assert_eq!(relayed.delivered, 2);
        let paid = test.consume::<PaidV1>(1).await;
        assert_eq!(paid, [PaidV1 { order_id: 7 }]);
        assert_eq!(paid[0].record().header("ce_correlationid"), Some("c-1"));
        test.broker().deliver_to(&consumer(&test)).await;
        test.assert_emitted::<ReturnedV1>(|_| true).await;
    }

    #[tokio::test]
    async fn a_consumer_with_another_prefix_is_refused() {
        let test = two_events().await.with_broker(&TestBroker::kafka().await);
        let says = failure(test.broker().deliver_to(&consumer(&test))).await;
        let prefix = test.broker().topic_prefix();
        assert!(
            says.contains("the topic `testkit.paid.v1`") && says.contains(&format!("`{prefix}`")),
            "{says}"
        );
    }

    /// The consumer itself, not what `deliver_to` hands to it.
    #[tokio::test]
    async fn a_consumer_reads_the_topics_with_their_prefix() {
        static STOP: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
        async fn refund_and_stop(
            tx: &mut OutboxTx<'_, Sqlite>,
            message: &InboxMessage,
            event: PaidV1,
        ) -> Result<(), outbox_runtime::Error> {
            STOP.cancel();
            refund(tx, message, event).await
        }

        let test = two_events().await.with_broker(&TestBroker::kafka().await);
        test.relay_until_empty().await;
        let prefix = test.broker().topic_prefix();
        assert!(prefix.starts_with("test-"), "{prefix}");
        let group = format!("{prefix}refunds");
        let consumer = Consumer::builder(test.outbox(), test.broker().brokers(), group)
            .topic_prefix(prefix)
            .topic("testkit.paid.v1")
            .on("PaidV1", refund_and_stop)
            .build()
            .expect("the settings are valid");
        let report = consumer.run(STOP.clone()).await.expect("it stops in order");
        assert_eq!(report.processed, 1);
        test.assert_emitted::<ReturnedV1>(|event| event.order_id == 7)
            .await;
    }
}
