//! A business with one table and one event.

use outbox_runtime::{ErrorKind, OutboxEvent};
use serde::Serialize;

/// The event of every row of `orders`.
#[derive(Debug, Clone, Serialize, OutboxEvent)]
#[outbox(topic = "shop.order.placed.v1", aggregate = "order", key = order_id)]
pub(crate) struct OrderPlacedV1 {
    pub(crate) order_id: i64,
}

/// An error as services have it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("refused")]
    Refused,
}

impl ShopError {
    /// The kind of this library's error.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Outbox(error) => error.kind(),
            other => panic!("no error of the outbox: {other:?}"),
        }
    }
}

/// The business's table; no id is negative, so that a statement can fail.
pub(crate) const ORDERS: &str = "CREATE TABLE orders (id BIGINT PRIMARY KEY CHECK (id > 0))";
