//! The service: what happens in it, and the one transaction that writes the order and tells of it.

use outbox_runtime::{OutboxEvent, OutboxTx, transactional};
use serde::Serialize;
use uuid::Uuid;

use crate::database::ShopDatabase;

/// The topic of all that happens to orders: one topic, so that a customer's events stay in order.
pub(crate) const TOPIC: &str = "shop.orders.v1";

/// An order was placed.
#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = "shop.orders.v1", aggregate = "customer", key = customer)]
pub(crate) struct OrderPlacedV1 {
    pub(crate) order_id: Uuid,
    pub(crate) customer: String,
    pub(crate) total_cents: i64,
}

/// An order was paid.
#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = "shop.orders.v1", aggregate = "customer", key = customer)]
pub(crate) struct OrderPaidV1 {
    pub(crate) order_id: Uuid,
    pub(crate) customer: String,
}

/// What a customer asks for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) customer: String,
    pub(crate) total_cents: i64,
    /// The bank will say no, when everything is written already.
    pub(crate) card_is_refused: bool,
}

/// What was emitted for an order, with the ids that consumers will see.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) placed: (Uuid, OrderPlacedV1),
    pub(crate) paid: (Uuid, OrderPaidV1),
}

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("the card was refused")]
    CardRefused,
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Places an order and takes the money. Both rows and both events are committed together, or none of them is.
#[transactional]
pub(crate) async fn place_order<DB: ShopDatabase>(
    tx: &mut OutboxTx<'_, DB>,
    order: &Order,
) -> Result<Emitted, ShopError> {
    DB::insert_order(tx, order).await?;
    let placed = OrderPlacedV1 {
        order_id: order.id,
        customer: order.customer.clone(),
        total_cents: order.total_cents,
    };
    let placed = (tx.emit(&placed)?, placed);

    if order.card_is_refused {
        // The order is in the table and its event is emitted; neither will ever have been.
        return Err(ShopError::CardRefused);
    }

    DB::mark_paid(tx, order.id).await?;
    let paid = OrderPaidV1 {
        order_id: order.id,
        customer: order.customer.clone(),
    };
    let paid = (tx.emit(&paid)?, paid);
    Ok(Emitted { placed, paid })
}
