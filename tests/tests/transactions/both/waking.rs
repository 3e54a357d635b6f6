//! The relay is woken after the commit, by its outermost owner, if there is something to read.

use std::time::Duration;

use outbox_runtime::{RelayWaker, transactional};

use super::{OrderPlacedV1, ShopError, Tx, open, place};

async fn is_woken(waker: &RelayWaker) -> bool {
    tokio::time::timeout(Duration::from_millis(20), waker.woken())
        .await
        .is_ok()
}

#[tokio::test]
async fn only_after_the_commit() {
    #[transactional]
    async fn look(tx: &mut Tx<'_>, waker: &RelayWaker) -> Result<(), ShopError> {
        place(&mut *tx, 1).await?;
        tx.emit(OrderPlacedV1 { order_id: 2 })?;
        assert!(
            !is_woken(waker).await,
            "a joined call, or an emit, woke the relay"
        );
        Ok(())
    }
    let (_database, outbox) = open().await;
    let waker = outbox.waker();
    look(&outbox, &waker).await.unwrap();
    assert!(is_woken(&waker).await);
}

#[tokio::test]
async fn not_without_events_nor_after_a_rollback() {
    let (_database, outbox) = open().await;
    let waker = outbox.waker();
    outbox
        .transaction(async |_| Ok::<_, ShopError>(()))
        .await
        .unwrap();
    let refused = outbox.transaction(async |tx| {
        tx.emit(OrderPlacedV1 { order_id: 1 })?;
        Err::<(), _>(ShopError::Refused)
    });
    assert!(refused.await.is_err());
    assert!(!is_woken(&waker).await);
}
