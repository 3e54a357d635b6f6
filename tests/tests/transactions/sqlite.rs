//! SQLite.

use outbox_runtime::{Outbox, OutboxTx, transactional};
use sqlx::Sqlite;

use crate::shop::{OrderPlacedV1, ShopError};

type LiteTx<'c> = OutboxTx<'c, Sqlite>;

#[transactional]
async fn place(tx: &mut LiteTx<'_>, order_id: i64) -> Result<i64, ShopError> {
    sqlx::query("INSERT INTO orders (id) VALUES (?)")
        .bind(order_id)
        .execute(&mut **tx)
        .await?;
    tx.emit(OrderPlacedV1 { order_id })?;
    Ok(order_id)
}

#[transactional]
async fn place_two(tx: &mut OutboxTx<'_, Sqlite>, first: i64, second: i64) -> Result<(), ShopError> {
    place(&mut *tx, first).await?;
    place(tx, second).await?;
    Ok(())
}

async fn rows(outbox: &Outbox<Sqlite>) -> (Vec<i64>, Vec<String>) {
    let orders = sqlx::query_scalar("SELECT id FROM orders ORDER BY id")
        .fetch_all(outbox.pool())
        .await
        .unwrap();
    let keys = sqlx::query_scalar("SELECT aggregate_id FROM outbox_messages ORDER BY seq");
    (orders, keys.fetch_all(outbox.pool()).await.unwrap())
}

#[tokio::test]
async fn a_row_and_its_event_are_committed_together() {
    let (_database, outbox) = crate::shop::sqlite().await;
    place(&outbox, 1).await.unwrap();
    place_two(&outbox, 2, 3).await.unwrap();
    assert!(place_two(&outbox, 4, 1).await.is_err());
    assert_eq!(
        rows(&outbox).await,
        (vec![1, 2, 3], vec!["1".into(), "2".into(), "3".into()])
    );
}
