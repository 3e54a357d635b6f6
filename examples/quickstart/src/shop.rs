//! The service: its events, its table, and the one transaction that writes both.

use outbox_runtime::{OutboxEvent, OutboxTx, transactional};
use serde::Serialize;
use sqlx::{Sqlite, SqlitePool};
use uuid::Uuid;

/// The topic of all events of orders: one topic, so that a customer's events stay in order.
pub(crate) const TOPIC: &str = "shop.orders.v1";

/// An order was placed.
#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate = "customer", key = customer)]
pub(crate) struct OrderPlacedV1 {
    pub(crate) order_id: Uuid,
    pub(crate) customer: String,
    pub(crate) total_cents: i64,
}

/// An order was paid.
#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate = "customer", key = customer)]
pub(crate) struct OrderPaidV1 {
    pub(crate) order_id: Uuid,
    pub(crate) customer: String,
}

/// A customer's request.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) customer: String,
    pub(crate) total_cents: i64,
    /// Whether the payment fails, after the order was written.
    pub(crate) card_is_refused: bool,
}

/// The events of an order, with the ids that consumers receive.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) placed: (Uuid, OrderPlacedV1),
    pub(crate) paid: (Uuid, OrderPaidV1),
}

/// Why an order was not placed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("the card was refused")]
    CardRefused,
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Creates the shop's table.
pub(crate) async fn create_table(pool: &SqlitePool) -> sqlx::Result<()> {
    let sql = "CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, total_cents BIGINT NOT NULL,
        paid BOOLEAN NOT NULL DEFAULT FALSE)";
    sqlx::query(sql).execute(pool).await.map(drop)
}

/// Places an order and takes the payment. Rows and events are committed together, or none of them is.
#[transactional]
pub(crate) async fn place_order(tx: &mut OutboxTx<'_, Sqlite>, order: &Order) -> Result<Emitted, ShopError> {
    sqlx::query("INSERT INTO orders (id, customer, total_cents) VALUES (?, ?, ?)")
        .bind(order.id.to_string())
        .bind(&order.customer)
        .bind(order.total_cents)
        .execute(&mut **tx)
        .await?;
    let placed = OrderPlacedV1 {
        order_id: order.id,
        customer: order.customer.clone(),
        total_cents: order.total_cents,
    };
    let placed = (tx.emit(&placed)?, placed);

    if order.card_is_refused {
        // The row is inserted and the event is emitted. `Err` rolls back both.
        return Err(ShopError::CardRefused);
    }

    sqlx::query("UPDATE orders SET paid = TRUE WHERE id = ?")
        .bind(order.id.to_string())
        .execute(&mut **tx)
        .await?;
    let paid = OrderPaidV1 {
        order_id: order.id,
        customer: order.customer.clone(),
    };
    let paid = (tx.emit(&paid)?, paid);
    Ok(Emitted { placed, paid })
}
