//! A message that comes twice acts once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use outbox_runtime::inbox::{InboxPruner, InboxPrunerConfig};
use outbox_runtime::{
    ErrorKind, EventContext, Inbox, InboxMessage, Outbox, Processed, TransactionOptions, transactional,
};
use sqlx::Executor;
use uuid::Uuid;

use super::{OrderPlacedV1, ShopError, Tx, open, orders_with_events, place};

/// Places order `id` for this message, in a transaction of its own.
async fn placed(outbox: &Outbox<super::Db>, message: &str, id: i64) -> Result<Processed<i64>, ShopError> {
    let inbox = Inbox::new(outbox);
    outbox
        .transaction(async |tx| {
            inbox
                .process(tx, "shop", message, async |tx| place(tx, id).await)
                .await
        })
        .await
}

async fn inbox_rows(outbox: &Outbox<super::Db>) -> Vec<String> {
    sqlx::query_scalar("SELECT consumer || ':' || message_id FROM outbox_inbox ORDER BY 1")
        .fetch_all(outbox.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_second_time_nothing_happens() {
    let (_database, outbox) = open().await;
    assert_eq!(placed(&outbox, "m1", 1).await.unwrap(), Processed::Now(1));
    assert_eq!(placed(&outbox, "m1", 2).await.unwrap(), Processed::Before);
    assert_eq!(placed(&outbox, "m2", 3).await.unwrap(), Processed::Now(3));
    assert_eq!(orders_with_events(&outbox).await, [1, 3]);
    assert_eq!(inbox_rows(&outbox).await, ["shop:m1", "shop:m2"]);
}

#[tokio::test]
async fn the_second_time_in_one_transaction_nothing_happens_either() {
    let (_database, outbox) = open().await;
    let inbox = Inbox::new(&outbox);
    let both = outbox
        .transaction(async |tx| {
            let first = inbox.process(&mut *tx, "shop", "m", async |tx| place(tx, 1).await);
            let first = first.await?;
            let second = inbox.process(&mut *tx, "shop", "m", async |tx| place(tx, 2).await);
            let second = second.await?;
            place(tx, 3).await?;
            Ok::<_, ShopError>((first, second))
        })
        .await;
    assert_eq!(both.unwrap(), (Processed::Now(1), Processed::Before));
    assert_eq!(orders_with_events(&outbox).await, [1, 3]);
}

#[tokio::test]
async fn each_consumer_processes_each_message() {
    let (_database, outbox) = open().await;
    let inbox = Inbox::new(&outbox);
    for (consumer, id) in [("a", 1), ("b", 2)] {
        let processed = outbox
            .transaction(async |tx| {
                inbox
                    .process(tx, consumer, "m", async |tx| place(tx, id).await)
                    .await
            })
            .await;
        assert_eq!(processed.unwrap(), Processed::Now(id));
    }
    assert_eq!(inbox_rows(&outbox).await, ["a:m", "b:m"]);
}

#[tokio::test]
async fn a_handler_that_fails_leaves_the_message_to_the_next_time() {
    let (_database, outbox) = open().await;
    let failed = placed(&outbox, "m", -1).await;
    assert!(matches!(failed, Err(ShopError::Database(_))));
    assert!(inbox_rows(&outbox).await.is_empty());
    assert_eq!(placed(&outbox, "m", 1).await.unwrap(), Processed::Now(1));
    assert_eq!(orders_with_events(&outbox).await, [1]);
}

#[tokio::test]
async fn a_failure_that_is_swallowed_does_not_lose_the_message() {
    let (_database, outbox) = open().await;
    let inbox = Inbox::new(&outbox);
    let swallowed = outbox
        .transaction(async |tx| {
            let handler = async |_: &mut Tx<'_>| Err::<(), _>(ShopError::Refused);
            let failed = inbox.process(&mut *tx, "shop", "m", handler).await;
            assert!(matches!(failed, Err(ShopError::Refused)));
            place(tx, 1).await
        })
        .await;
    assert_eq!(swallowed.unwrap_err().kind(), ErrorKind::RollbackOnly);
    assert!(inbox_rows(&outbox).await.is_empty());
    assert!(orders_with_events(&outbox).await.is_empty());
}

#[tokio::test]
async fn a_handler_that_is_dropped_does_not_lose_the_message() {
    let (_database, outbox) = open().await;
    let inbox = Inbox::new(&outbox);
    let dropped = outbox
        .transaction(async |tx| {
            let endless = inbox.process(&mut *tx, "shop", "m", async |tx| {
                place(tx, 1).await?;
                std::future::pending::<Result<(), ShopError>>().await
            });
            let ended = tokio::time::timeout(Duration::from_millis(100), endless).await;
            assert!(ended.is_err());
            Ok::<_, ShopError>(())
        })
        .await;
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::RollbackOnly);
    assert!(inbox_rows(&outbox).await.is_empty());
}

#[tokio::test]
async fn a_savepoint_takes_back_that_the_message_was_processed() {
    let (_database, outbox) = open().await;
    let inbox = Inbox::new(&outbox);
    outbox
        .transaction(async |tx| {
            place(&mut *tx, 1).await?;
            let part = tx
                .savepoint(async |tx| {
                    inbox
                        .process(tx, "shop", "m", async |tx| {
                            place(&mut *tx, 2).await?;
                            Err::<(), _>(ShopError::Refused)
                        })
                        .await
                })
                .await;
            assert!(matches!(part, Err(ShopError::Refused)));
            place(tx, 3).await
        })
        .await
        .unwrap();
    assert_eq!(orders_with_events(&outbox).await, [1, 3]);
    assert!(inbox_rows(&outbox).await.is_empty());
    assert_eq!(placed(&outbox, "m", 4).await.unwrap(), Processed::Now(4));
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused() {
    let (_database, outbox) = open().await;
    for bad in ["", "a\0b", &"x".repeat(513)] {
        let refused = placed(&outbox, bad, 1).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidText, "{bad:?}");
    }
    assert!(orders_with_events(&outbox).await.is_empty());
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn contexts(outbox: &Outbox<super::Db>) -> Vec<(Option<String>, Option<String>)> {
    let headers: Vec<String> =
        sqlx::query_scalar("SELECT CAST(headers AS text) FROM outbox_messages ORDER BY seq")
            .fetch_all(outbox.pool())
            .await
            .unwrap();
    let read = |text: &String| {
        let headers: serde_json::Value = serde_json::from_str(text).unwrap();
        let header = |name| headers[name].as_str().map(str::to_owned);
        (header("ce_correlationid"), header("traceparent"))
    };
    headers.iter().map(read).collect()
}

#[tokio::test]
async fn what_a_handler_emits_continues_the_message_s_conversation() {
    let (_database, outbox) = open().await;
    let inbox = Inbox::new(&outbox);
    let id = Uuid::now_v7().to_string();
    let message = InboxMessage::new("orders", 0, 1)
        .with_header("ce_id", id.as_str())
        .with_header("traceparent", TRACE);
    let with_correlation = InboxMessage::new("orders", 0, 2)
        .with_header("ce_id", Uuid::now_v7().to_string())
        .with_header("ce_correlationid", "given");
    outbox
        .transaction(async |tx| {
            tx.set_context(EventContext::new().correlation_id("outer"));
            place(&mut *tx, 1).await?;
            inbox
                .process(&mut *tx, "shop", &message, async |tx| place(tx, 2).await)
                .await?
                .now()
                .unwrap();
            inbox
                .process(&mut *tx, "shop", &with_correlation, async |tx| {
                    // Also what reads the context by itself.
                    let builder = outbox_runtime::OutboxMessage::from_event(&OrderPlacedV1 { order_id: 3 });
                    tx.emit_message(builder?)?;
                    sqlx::query("INSERT INTO orders (id) VALUES (3)")
                        .execute(&mut **tx)
                        .await?;
                    Ok::<_, ShopError>(())
                })
                .await?
                .now()
                .unwrap();
            place(tx, 4).await
        })
        .await
        .unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        contexts(&outbox).await,
        [
            (text("outer"), None),
            (text(&id), text(TRACE)),
            (text("given"), None),
            (text("outer"), None)
        ]
    );
}

/// What the attribute makes of a handler of messages.
#[transactional(inbox = message, consumer = "shop")]
async fn on_order(tx: &mut Tx<'_>, message: &InboxMessage, runs: &AtomicU32) -> Result<(), ShopError> {
    runs.fetch_add(1, Ordering::Relaxed);
    place(tx, i64::from(runs.load(Ordering::Relaxed))).await?;
    Ok(())
}

#[transactional(inbox = id, consumer = SHOP, retry = 2)]
async fn on_request(tx: &mut Tx<'_>, id: Uuid, order: i64) -> Result<Processed<i64>, BoxError> {
    Ok(Processed::Now(place(tx, order).await?))
}

const SHOP: &str = "shop";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::test]
async fn the_attribute_processes_once() {
    let (_database, outbox) = open().await;
    let runs = AtomicU32::new(0);
    let message = InboxMessage::new("orders", 0, 1).with_header("ce_id", Uuid::now_v7().to_string());
    for _ in 0..3 {
        on_order(&outbox, &message, &runs).await.unwrap();
    }
    assert_eq!(runs.into_inner(), 1);
    let id = Uuid::now_v7();
    assert_eq!(on_request(&outbox, id, 2).await.unwrap(), Processed::Now(2));
    assert_eq!(on_request(&outbox, id, 3).await.unwrap(), Processed::Before);
    assert_eq!(orders_with_events(&outbox).await, [1, 2]);
    let (correlation, _) = contexts(&outbox).await[0].clone();
    assert_eq!(correlation.as_deref(), message.header("ce_id"));
}

#[tokio::test]
async fn the_attribute_joins() {
    let (_database, outbox) = open().await;
    let runs = AtomicU32::new(0);
    let message = InboxMessage::new("orders", 0, 1);
    let refused = outbox
        .transaction(async |tx| {
            on_order(&mut *tx, &message, &runs).await?;
            on_order(&mut *tx, &message, &runs).await?;
            Err::<(), _>(ShopError::Refused)
        })
        .await;
    assert!(matches!(refused, Err(ShopError::Refused)));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert!(inbox_rows(&outbox).await.is_empty());
    on_order(&outbox, &message, &runs).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_same_time_one_acts() {
    let (_database, outbox) = open().await;
    let all = (0..20).map(|order: i64| {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            let inbox = Inbox::new(&outbox);
            let options = TransactionOptions::new().retry(20);
            outbox
                .transaction_with(options, async |tx| {
                    inbox
                        .process(tx, "shop", "m", async |tx| place(tx, order + 1).await)
                        .await
                })
                .await
                .unwrap()
        })
    });
    let mut acted = Vec::new();
    for task in all.collect::<Vec<_>>() {
        acted.extend(task.await.unwrap().now());
    }
    assert_eq!(acted.len(), 1);
    assert_eq!(orders_with_events(&outbox).await, acted);
}

/// Rows that are two days old, and one of now.
async fn fill(outbox: &Outbox<super::Db>, old: usize) {
    for number in 0..old {
        let sql = "INSERT INTO outbox_inbox (consumer, message_id, processed_at) VALUES ('shop', $1, ";
        let sql = format!("{sql}{})", super::super::TWO_DAYS_AGO);
        let insert = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(format!("old-{number}"));
        insert.execute(outbox.pool()).await.unwrap();
    }
    let new = "INSERT INTO outbox_inbox (consumer, message_id) VALUES ('shop', 'new')";
    outbox.pool().execute(new).await.unwrap();
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn old_rows_go_in_batches() {
    let (_database, outbox) = open().await;
    fill(&outbox, 7).await;
    let inbox = Inbox::new(&outbox);
    assert_eq!(inbox.prune(3 * DAY, 100).await.unwrap(), 0);
    assert_eq!(inbox.prune(DAY, 3).await.unwrap(), 3);
    assert_eq!(inbox_rows(&outbox).await.len(), 5);
    let config = InboxPrunerConfig::new().keep(DAY).batch(3);
    let report = InboxPruner::new(&inbox, config)
        .unwrap()
        .run_once()
        .await
        .unwrap();
    assert_eq!((report.deleted, report.batches), (4, 2));
    assert_eq!(inbox_rows(&outbox).await, ["shop:new"]);
}

#[tokio::test]
async fn a_pruner_stops_once() {
    let (_database, outbox) = open().await;
    fill(&outbox, 2).await;
    let config = InboxPrunerConfig::new().keep(DAY);
    let running = InboxPruner::new(&Inbox::new(&outbox), config).unwrap().spawn();
    outbox_tests::wait_until("the old rows to go", Duration::from_secs(120), async || {
        (inbox_rows(&outbox).await.len() == 1).then_some(())
    })
    .await;
    let (first, second) = tokio::join!(running.stop(), running.stop());
    assert_eq!(first.or(second).unwrap().deleted, 2);
    assert_eq!(running.stop().await, None);
}
