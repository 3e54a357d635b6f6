//! What holds on every database: this folder is compiled once for each.

use outbox_runtime::{Outbox, OutboxTx, transactional};
use outbox_tests::TestDatabase;

use super::{Db, LEAVES_OUT_THE_13TH, open_with};
use crate::shop::{OrderPlacedV1, ShopError};

mod bulk;
mod drops;
mod emitting;
mod ends;
mod enqueueing;
mod inbox;
mod joining;
mod left_out;
mod nesting;
mod savepoints;
mod waking;

pub(crate) type Tx<'c> = OutboxTx<'c, Db>;

async fn open() -> (TestDatabase<Db>, Outbox<Db>) {
    open_with(10).await
}

/// One order and its event.
#[transactional]
pub(crate) async fn place(tx: &mut Tx<'_>, order_id: i64) -> Result<i64, ShopError> {
    sqlx::query("INSERT INTO orders (id) VALUES ($1)")
        .bind(order_id)
        .execute(&mut **tx)
        .await?;
    tx.emit(OrderPlacedV1 { order_id })?;
    Ok(order_id)
}

/// The orders' ids, which are also the keys of exactly these events.
pub(crate) async fn orders_with_events(outbox: &Outbox<Db>) -> Vec<i64> {
    let orders: Vec<i64> = sqlx::query_scalar("SELECT id FROM orders ORDER BY id")
        .fetch_all(outbox.pool())
        .await
        .unwrap();
    let keys = sqlx::query_scalar("SELECT aggregate_id FROM outbox_messages")
        .fetch_all(outbox.pool())
        .await;
    let keys: Vec<String> = keys.unwrap();
    let mut emitted: Vec<i64> = keys.iter().map(|key| key.parse().unwrap()).collect();
    emitted.sort_unstable();
    assert_eq!(orders, emitted, "rows and events are not the same");
    orders
}
