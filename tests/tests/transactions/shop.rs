//! A business with one table and one event, on both databases.

use outbox_runtime::{Outbox, OutboxEvent};
use outbox_tests::TestDatabase;
use serde::Serialize;
use sqlx::{Executor, Postgres, Sqlite};

/// What every row of `orders` is told of by.
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
    pub(crate) fn kind(&self) -> outbox_runtime::ErrorKind {
        match self {
            Self::Outbox(error) => error.kind(),
            other => panic!("no error of the outbox: {other:?}"),
        }
    }
}

const ORDERS: &str = "CREATE TABLE orders (id BIGINT PRIMARY KEY CHECK (id > 0), note TEXT)";

/// A shop on SQLite.
pub(crate) async fn sqlite() -> (TestDatabase<Sqlite>, Outbox<Sqlite>) {
    let database = TestDatabase::sqlite().await;
    database.pool.execute(ORDERS).await.unwrap();
    let outbox = Outbox::new(database.pool.clone());
    (database, outbox)
}

/// A shop on PostgreSQL.
pub(crate) async fn postgres() -> (TestDatabase<Postgres>, Outbox<Postgres>) {
    let database = TestDatabase::postgres().await;
    database.pool.execute(ORDERS).await.unwrap();
    let outbox = Outbox::new(database.pool.clone());
    (database, outbox)
}
