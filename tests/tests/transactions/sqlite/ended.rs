//! Transactions that end before their time: SQLite does that by itself, for some errors.

use outbox_runtime::ErrorKind;

use super::both::{orders_with_events, place};
use super::open_with;
use crate::shop::{OrderPlacedV1, ShopError};

#[tokio::test]
async fn events_of_a_transaction_that_is_gone_are_not_written() {
    let (_database, outbox) = open_with(2).await;
    place(&outbox, 1).await.unwrap();
    for statement in [
        "INSERT OR ROLLBACK INTO orders (id) VALUES (1)",
        "ROLLBACK",
        "COMMIT",
    ] {
        let ended = outbox
            .transaction(async |tx| {
                tx.emit(OrderPlacedV1 { order_id: 2 })?;
                let _ = sqlx::query(statement).execute(&mut **tx).await;
                Ok::<_, ShopError>(())
            })
            .await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::EndedByHand, "{statement}");
        assert_eq!(orders_with_events(&outbox).await, [1], "{statement}");
    }
    place(&outbox, 3).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [1, 3]);
}

#[tokio::test]
async fn its_connection_is_good_for_the_next_one() {
    let (_database, outbox) = open_with(1).await;
    let end = "INSERT OR ROLLBACK INTO orders (id) VALUES (-1)";
    let failed = outbox.transaction(async |tx| {
        sqlx::query(end).execute(&mut **tx).await?;
        Ok::<_, ShopError>(())
    });
    assert!(matches!(failed.await, Err(ShopError::Database(_))));
    place(&outbox, 1).await.unwrap();
    let dropped = outbox.transaction(async |tx| {
        assert!(sqlx::query(end).execute(&mut **tx).await.is_err());
        std::future::pending::<Result<(), ShopError>>().await
    });
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), dropped)
            .await
            .is_err()
    );
    place(&outbox, 2).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [1, 2]);
}

#[tokio::test]
async fn a_failed_statement_undoes_only_itself() {
    let (_database, outbox) = open_with(2).await;
    outbox
        .transaction(async |tx| {
            let _ = sqlx::query("INSERT INTO orders (id) VALUES (-1)")
                .execute(&mut **tx)
                .await;
            place(&mut *tx, 1).await
        })
        .await
        .unwrap();
    assert_eq!(orders_with_events(&outbox).await, [1]);
}
