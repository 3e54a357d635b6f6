//! Parts that can fail by themselves.

use outbox_runtime::{ErrorKind, transactional};

use super::{OrderPlacedV1, ShopError, Tx, open, orders_with_events, place};

#[transactional]
async fn fail(tx: &mut Tx<'_>, order_id: i64) -> Result<(), ShopError> {
    place(tx, order_id).await?;
    Err(ShopError::Refused)
}

#[tokio::test]
async fn a_failed_part_is_taken_back_with_its_events() {
    let (_database, outbox) = open().await;
    outbox
        .transaction(async |tx| {
            place(&mut *tx, 1).await?;
            let part = tx.savepoint(async |tx| fail(&mut *tx, 2).await).await;
            assert!(matches!(part, Err(ShopError::Refused)));
            let part = tx.savepoint(async |tx| place(&mut *tx, -1).await).await;
            assert!(matches!(part, Err(ShopError::Database(_))));
            tx.savepoint(async |tx| place(tx, 3).await).await?;
            place(&mut *tx, 4).await
        })
        .await
        .unwrap();
    assert_eq!(orders_with_events(&outbox).await, [1, 3, 4]);
}

#[tokio::test]
async fn savepoints_can_be_nested() {
    let (_database, outbox) = open().await;
    outbox
        .transaction(async |tx| {
            let outer = tx
                .savepoint(async |tx| {
                    place(&mut *tx, 1).await?;
                    let inner = tx.savepoint(async |tx| fail(&mut *tx, 2).await).await;
                    assert!(inner.is_err());
                    tx.savepoint(async |tx| place(&mut *tx, 3).await).await?;
                    Err::<(), _>(ShopError::Refused)
                })
                .await;
            assert!(outer.is_err());
            tx.savepoint(async |tx| tx.savepoint(async |tx| place(&mut *tx, 4).await).await)
                .await?;
            place(&mut *tx, 5).await
        })
        .await
        .unwrap();
    assert_eq!(orders_with_events(&outbox).await, [4, 5]);
}

#[tokio::test]
async fn an_earlier_rollback_only_mark_stays() {
    let (_database, outbox) = open().await;
    let refused = outbox
        .transaction(async |tx| {
            assert!(fail(&mut *tx, 1).await.is_err());
            assert!(tx.savepoint(async |tx| fail(&mut *tx, 2).await).await.is_err());
            Ok::<_, ShopError>(())
        })
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::RollbackOnly);
}

#[tokio::test]
async fn a_dropped_savepoint_leaves_only_a_rollback() {
    let (_database, outbox) = open().await;
    let dropped = outbox
        .transaction(async |tx| {
            {
                let part = tx.savepoint(async |tx| {
                    tx.emit(OrderPlacedV1 { order_id: 1 })?;
                    std::future::pending::<Result<(), ShopError>>().await
                });
                let mut part = std::pin::pin!(part);
                let waited = std::time::Duration::from_millis(50);
                assert!(tokio::time::timeout(waited, &mut part).await.is_err());
            }
            place(&mut *tx, 2).await
        })
        .await;
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::RollbackOnly);
    place(&outbox, 3).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [3]);
}
