//! Commit on `Ok`; nothing on `Err`, panic and drop.

use futures_util::FutureExt;
use outbox_runtime::{Error, transactional};

use super::{ShopError, Tx, open, orders_with_events, place};

#[transactional]
async fn place_then(
    tx: &mut Tx<'_>,
    order_id: i64,
    end: impl AsyncFnOnce() -> Result<(), ShopError>,
) -> Result<(), ShopError> {
    place(&mut *tx, order_id).await?;
    end().await
}

#[tokio::test]
async fn ok_commits() {
    let (_database, outbox) = open().await;
    assert_eq!(place(&outbox, 1).await.unwrap(), 1);
    assert_eq!(orders_with_events(&outbox).await, [1]);
}

#[tokio::test]
async fn an_error_rolls_back() {
    let (_database, outbox) = open().await;
    let refused = place_then(&outbox, 1, async || Err(ShopError::Refused)).await;
    assert!(matches!(refused, Err(ShopError::Refused)));
    let twice = outbox
        .transaction(async |tx| {
            place(&mut *tx, 2).await?;
            place(&mut *tx, 2).await
        })
        .await;
    assert!(matches!(twice, Err(ShopError::Database(_))));
    assert_eq!(orders_with_events(&outbox).await, [0_i64; 0]);
}

#[tokio::test]
async fn an_early_return_is_a_return() {
    #[transactional]
    async fn maybe(tx: &mut Tx<'_>, order_id: i64) -> Result<&'static str, Error> {
        if order_id > 1 {
            return Ok("late");
        }
        tx.emit(super::OrderPlacedV1 { order_id })?;
        sqlx::query("INSERT INTO orders (id) VALUES (1)")
            .execute(&mut **tx)
            .await
            .unwrap();
        Ok("done")
    }
    let (_database, outbox) = open().await;
    assert_eq!(maybe(&outbox, 2).await.unwrap(), "late");
    assert_eq!(maybe(&outbox, 1).await.unwrap(), "done");
    assert_eq!(orders_with_events(&outbox).await, [1]);
}

#[tokio::test]
async fn a_panic_rolls_back() {
    let (_database, outbox) = open().await;
    let run = place_then(&outbox, 1, async || panic!("in the handler"));
    assert!(std::panic::AssertUnwindSafe(run).catch_unwind().await.is_err());
    place(&outbox, 2).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [2]);
}

#[tokio::test]
async fn a_dropped_future_rolls_back() {
    let (_database, outbox) = open().await;
    let (reached, mut at_the_end) = tokio::sync::mpsc::channel(1);
    let run = place_then(&outbox, 1, async || {
        reached.send(()).await.unwrap();
        std::future::pending().await
    });
    tokio::select! {
        _ = run => panic!("it cannot end"),
        _ = at_the_end.recv() => {}
    }
    place(&outbox, 2).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [2]);
}

#[tokio::test]
async fn the_closure_form_does_the_same() {
    let (_database, outbox) = open().await;
    let mut runs = 0;
    let placed = outbox
        .transaction(async |tx| {
            runs += 1;
            place(tx, 7).await
        })
        .await;
    assert_eq!((placed.unwrap(), runs), (7, 1));
    let refused: Result<(), _> = outbox
        .transaction(async |tx| {
            place(&mut *tx, 8).await?;
            Err(ShopError::Refused)
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(orders_with_events(&outbox).await, [7]);
}

#[tokio::test]
async fn it_runs_in_spawned_tasks() {
    let (_database, outbox) = open().await;
    let tasks: Vec<_> = (1..=5)
        .map(|id| {
            let outbox = outbox.clone();
            tokio::spawn(async move {
                let note = String::from("borrowed");
                let borrowed = note.as_str();
                place(&outbox, id).await.unwrap();
                outbox
                    .transaction(async |tx| {
                        assert_eq!(borrowed, "borrowed");
                        place(&mut *tx, 10 * id).await
                    })
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(
        orders_with_events(&outbox).await,
        [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]
    );
}
