//! Two transactions at the same message.

use std::time::Duration;

use outbox_runtime::{Inbox, Isolation, Outbox, OutboxMessage, Processed, TransactionOptions, transactional};
use outbox_tests::wait_until;
use sqlx::{Executor, PgPool};
use tokio::sync::oneshot;

use super::both::{Tx, orders_with_events, place};
use super::open_with;
use crate::shop::ShopError;

const LIMIT: Duration = Duration::from_secs(120);

/// Waits until some session of this database waits for another's transaction.
async fn somebody_waits(pool: &PgPool) {
    wait_until("a session to wait for a transaction", LIMIT, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event = 'transactionid'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
}

/// Processes `m` and, if one is given, ends with this result.
async fn hold(
    outbox: Outbox<super::Db>,
    entered: oneshot::Sender<()>,
    end: oneshot::Receiver<Result<(), ShopError>>,
) -> Result<Processed<()>, ShopError> {
    let inbox = Inbox::new(&outbox);
    outbox
        .transaction(async |tx| {
            inbox
                .process(tx, "shop", "m", async |tx| {
                    place(tx, 1).await?;
                    entered.send(()).unwrap();
                    end.await.unwrap()
                })
                .await
        })
        .await
}

async fn second(outbox: Outbox<super::Db>, options: TransactionOptions) -> Result<Processed<i64>, ShopError> {
    let inbox = Inbox::new(&outbox);
    outbox
        .transaction_with(options, async |tx| {
            // The snapshot is taken here, before the first one's end.
            sqlx::query("SELECT 1").execute(&mut **tx).await?;
            inbox
                .process(tx, "shop", "m", async |tx| place(tx, 2).await)
                .await
        })
        .await
}

/// What the second one gets when the first one ends in this way while the second waits.
async fn meet(
    outbox: &Outbox<super::Db>,
    first_ends: Result<(), ShopError>,
    options: TransactionOptions,
) -> Result<Processed<i64>, ShopError> {
    let (entered, has_entered) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let first = tokio::spawn(hold(outbox.clone(), entered, ends));
    has_entered.await.unwrap();
    let waiting = tokio::spawn(second(outbox.clone(), options));
    somebody_waits(outbox.pool()).await;
    assert!(!waiting.is_finished());
    end.send(first_ends).unwrap();
    let _ = first.await.unwrap();
    waiting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_waits_and_does_nothing_if_the_first_commits() {
    let (_database, outbox) = open_with(5).await;
    let second = meet(&outbox, Ok(()), TransactionOptions::new()).await;
    assert_eq!(second.unwrap(), Processed::Before);
    assert_eq!(orders_with_events(&outbox).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_acts_if_the_first_rolls_back() {
    let (_database, outbox) = open_with(5).await;
    let second = meet(&outbox, Err(ShopError::Refused), TransactionOptions::new()).await;
    assert_eq!(second.unwrap(), Processed::Now(2));
    assert_eq!(orders_with_events(&outbox).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_snapshot_the_second_begins_again() {
    for isolation in [Isolation::RepeatableRead, Isolation::Serializable] {
        let (_database, outbox) = open_with(5).await;
        let options = TransactionOptions::new().isolation(isolation);
        let refused = meet(&outbox, Ok(()), options).await.unwrap_err();
        let mut causes =
            std::iter::successors(Some(&refused as &dyn std::error::Error), |error| error.source());
        assert!(
            causes.any(|cause| cause.to_string().contains("could not serialize")),
            "{refused:?}"
        );
        let retried = second(outbox.clone(), options.retry(3)).await;
        assert_eq!(retried.unwrap(), Processed::Before);

        let (_database, outbox) = open_with(5).await;
        let retried = meet(&outbox, Ok(()), options.retry(3)).await;
        assert_eq!(retried.unwrap(), Processed::Before);
        assert_eq!(orders_with_events(&outbox).await, [1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_waits_for_no_consumer_and_none_for_it() {
    let (_database, outbox) = open_with(5).await;
    let inbox = Inbox::new(&outbox);
    for id in ["locked", "free"] {
        sqlx::query("INSERT INTO outbox_inbox VALUES ('shop', $1, now() - interval '2 days')")
            .bind(id)
            .execute(outbox.pool())
            .await
            .unwrap();
    }
    // Somebody has locked one of the old rows, and a consumer is in the middle of a new message.
    let mut locker = outbox.pool().begin().await.unwrap();
    locker
        .execute("SELECT 1 FROM outbox_inbox WHERE message_id = 'locked' FOR UPDATE")
        .await
        .unwrap();
    let (entered, has_entered) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let consumer = tokio::spawn(hold(outbox.clone(), entered, ends));
    has_entered.await.unwrap();

    let day = Duration::from_secs(86_400);
    let pruned = tokio::time::timeout(LIMIT, inbox.prune(day, 1_000)).await;
    assert_eq!(pruned.expect("it waits for nobody").unwrap(), 1);

    end.send(Ok(())).unwrap();
    consumer.await.unwrap().unwrap().now().unwrap();
    locker.rollback().await.unwrap();
    assert_eq!(inbox.prune(day, 1_000).await.unwrap(), 1);
}

#[transactional(isolation = "serializable", inbox = id, consumer = "shop")]
async fn strict(tx: &mut Tx<'_>, id: &str) -> Result<(), ShopError> {
    let message = OutboxMessage::from_event(&crate::shop::OrderPlacedV1 { order_id: 9 })?;
    tx.emit_message(message)?;
    sqlx::query("INSERT INTO orders (id) VALUES (9)")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A duplicate leaves no transaction open behind it, and no connection taken.
#[tokio::test]
async fn duplicates_leave_clean_connections_behind() {
    let (_database, outbox) = open_with(1).await;
    for _ in 0..5 {
        strict(&outbox, "m").await.unwrap();
    }
    let open: bool = sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        .fetch_one(outbox.pool())
        .await
        .unwrap();
    assert!(!open);
    assert_eq!(orders_with_events(&outbox).await, [9]);
}
