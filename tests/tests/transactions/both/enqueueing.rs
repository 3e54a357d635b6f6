//! Events in a transaction that the caller owns.

use std::time::Duration;

use outbox_runtime::{ErrorKind, OutboxMessage};

use super::{OrderPlacedV1, open};

#[tokio::test]
async fn an_event_is_committed_with_the_callers_transaction() {
    let (_database, outbox) = open().await;
    let waker = outbox.waker();
    let event = OrderPlacedV1 { order_id: 1 };

    let mut tx = outbox.pool().begin().await.unwrap();
    drop(outbox.enqueue(&mut tx, &event).await.unwrap());
    tx.rollback().await.unwrap();
    let mut tx = outbox.pool().begin().await.unwrap();
    let enqueued = outbox.enqueue(&mut tx, &event).await.unwrap();
    assert_eq!(enqueued.ids().len(), 1);
    tx.commit().await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(20), waker.woken())
            .await
            .is_err(),
        "nobody woke it yet"
    );
    enqueued.wake();
    waker.woken().await;

    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages")
        .fetch_one(outbox.pool())
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn many_and_made_by_hand() {
    let (_database, outbox) = open().await;
    let mut tx = outbox.pool().begin().await.unwrap();
    let events: Vec<_> = (1..=3).map(|order_id| OrderPlacedV1 { order_id }).collect();
    assert_eq!(outbox.enqueue_all(&mut tx, &events).await.unwrap().ids().len(), 3);
    let message = OutboxMessage::from_event(&events[0])
        .unwrap()
        .with_id(uuid::Uuid::from_u128(1));
    assert_eq!(
        outbox.enqueue_message(&mut tx, message).await.unwrap().ids(),
        [uuid::Uuid::from_u128(1)]
    );
    let bad = OutboxMessage::builder("", "k")
        .event_type("T")
        .aggregate_type("a")
        .build();
    assert_eq!(
        outbox.enqueue_message(&mut tx, bad).await.unwrap_err().kind(),
        ErrorKind::InvalidTopic
    );
    assert!(
        outbox
            .enqueue_all(&mut tx, Vec::<OrderPlacedV1>::new())
            .await
            .unwrap()
            .ids()
            .is_empty()
    );
    tx.commit().await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages")
        .fetch_one(outbox.pool())
        .await
        .unwrap();
    assert_eq!(count, 4);
}
