//! A call inside another one's transaction.

use futures_util::FutureExt;
use outbox_runtime::{ErrorKind, transactional};

use super::{ShopError, Tx, open, orders_with_events, place};

#[transactional]
async fn place_pair(tx: &mut Tx<'_>, first: i64, second: i64) -> Result<(), ShopError> {
    place(&mut *tx, first).await?;
    place(tx, second).await?;
    Ok(())
}

#[tokio::test]
async fn joined_calls_are_committed_together() {
    let (_database, outbox) = open().await;
    place_pair(&outbox, 1, 2).await.unwrap();
    assert!(place_pair(&outbox, 3, 1).await.is_err());
    outbox
        .transaction(async |tx| place_pair(&mut *tx, 5, 6).await)
        .await
        .unwrap();
    assert_eq!(orders_with_events(&outbox).await, [1, 2, 5, 6]);
}

#[transactional]
async fn fail(tx: &mut Tx<'_>, order_id: i64) -> Result<(), ShopError> {
    place(tx, order_id).await?;
    Err(ShopError::Refused)
}

#[tokio::test]
async fn a_joined_failure_dooms_the_outer_transaction() {
    #[transactional]
    async fn ignore(tx: &mut Tx<'_>) -> Result<(), ShopError> {
        place(&mut *tx, 1).await?;
        assert!(fail(&mut *tx, 2).await.is_err());
        place(&mut *tx, 3).await?;
        Ok(())
    }
    let (_database, outbox) = open().await;
    assert_eq!(ignore(&outbox).await.unwrap_err().kind(), ErrorKind::RollbackOnly);
    assert_eq!(orders_with_events(&outbox).await, [0_i64; 0]);
}

#[transactional]
async fn never(tx: &mut Tx<'_>) -> Result<(), ShopError> {
    place(tx, 2).await?;
    std::future::pending().await
}

#[transactional]
async fn panics(tx: &mut Tx<'_>) -> Result<(), ShopError> {
    place(tx, 2).await?;
    panic!("in a joined call")
}

#[tokio::test]
async fn a_joined_call_that_is_dropped_or_panics_dooms_it_too() {
    let (_database, outbox) = open().await;
    let dropped = outbox
        .transaction(async |tx| {
            let joined = never(&mut *tx);
            tokio::select! {
                biased;
                _ = joined => unreachable!("it cannot end"),
                () = tokio::task::yield_now() => {}
            }
            place(&mut *tx, 1).await
        })
        .await;
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::RollbackOnly);
    let panicked = outbox
        .transaction(async |tx| {
            assert!(
                std::panic::AssertUnwindSafe(panics(&mut *tx))
                    .catch_unwind()
                    .await
                    .is_err()
            );
            place(&mut *tx, 1).await
        })
        .await;
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::RollbackOnly);
    assert_eq!(orders_with_events(&outbox).await, [0_i64; 0]);
}
