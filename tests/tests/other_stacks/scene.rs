//! A shop: a table of orders, a broker in memory, and what a stack has to do.

use std::time::Duration;

use outbox_runtime::testkit::{MemoryBroker, MemoryRecord};
use outbox_runtime::{
    ErrorKind, OutboxEvent, OutboxMessage, PostgresStore, Relay, RelayConfig, RelayWaker, RunningRelay,
    Tables,
};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::{AssertSqlSafe, PgPool, Postgres};

/// Long enough for a slow machine, and never waited for when all is well.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, serde::Serialize, OutboxEvent)]
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
    Diesel(#[from] diesel::result::Error),
    #[error(transparent)]
    TokioPostgres(#[from] tokio_postgres::Error),
    #[error(transparent)]
    SeaOrm(#[from] sea_orm::DbErr),
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
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

/// What an order is told of by.
pub(crate) enum What {
    Event,
    Events(usize),
    Message(Box<OutboxMessage>),
}

impl What {
    pub(crate) fn message(message: OutboxMessage) -> Self {
        Self::Message(Box::new(message))
    }
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a wake after the commit.
    Commit,
    /// Also if the event is refused.
    CommitAnyway,
    Rollback,
    Panic,
}

/// A crate that has transactions of its own.
pub(crate) trait Stack: Sized {
    /// A connection, and a writer for these tables.
    async fn open(url: &str, tables: Tables, waker: RelayWaker) -> Self;

    /// A transaction that inserts an order, and what it is told of by.
    async fn place(&mut self, order: i64, what: What, end: End) -> Result<(), ShopError>;
}

/// The events of an order.
pub(crate) fn events(order_id: i64, count: usize) -> Vec<OrderPlacedV1> {
    vec![OrderPlacedV1 { order_id }; count]
}

pub(crate) struct Scene {
    pub(crate) database: TestDatabase<Postgres>,
    pub(crate) broker: MemoryBroker,
    pub(crate) waker: RelayWaker,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let scene = Self {
            database: TestDatabase::postgres().await,
            broker: MemoryBroker::new(),
            waker: RelayWaker::new(),
        };
        scene
            .run("CREATE TABLE orders (id BIGINT PRIMARY KEY CHECK (id > 0))")
            .await;
        scene
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.pool()).await.unwrap();
    }

    pub(crate) async fn stack<S: Stack>(&self) -> S {
        S::open(&self.database.url(), Tables::default(), self.waker.clone()).await
    }

    pub(crate) fn relay(&self, config: RelayConfig) -> RunningRelay {
        Relay::builder(PostgresStore::new(self.pool()), self.broker.publisher())
            .config(config)
            .waker(self.waker.clone())
            .build()
            .unwrap()
            .spawn()
    }

    pub(crate) async fn count(&self, of: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {of}")))
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// How many orders and messages there are, once no transaction is open any more.
    pub(crate) async fn orders_and_messages(&self) -> (i64, i64) {
        wait_until("the end of all transactions", LIMIT, async || {
            let open = self
                .count(
                    "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                     AND xact_start IS NOT NULL AND backend_type = 'client backend'",
                )
                .await;
            (open == 0).then_some(())
        })
        .await;
        (self.count("orders").await, self.count("outbox_messages").await)
    }

    /// The broker's records, once there are so many.
    pub(crate) async fn records(&self, count: usize) -> Vec<MemoryRecord> {
        wait_until("records in the broker", LIMIT, async || {
            let log = self.broker.log();
            (log.len() >= count).then_some(log)
        })
        .await
    }
}
