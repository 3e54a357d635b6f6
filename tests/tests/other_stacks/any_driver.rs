//! A driver that is told nothing but the statement and its parameters.

use outbox_runtime::writers::Parameter;
use outbox_runtime::{OutboxMessage, RelayWaker, Tables};
use sqlx::{AssertSqlSafe, PgPool};

use crate::cases::cases;
use crate::scene::{End, OrderPlacedV1, ShopError, Stack, What, events};

struct Shop {
    pool: PgPool,
    tables: Tables,
    waker: RelayWaker,
}

impl Stack for Shop {
    async fn open(url: &str, tables: Tables, waker: RelayWaker) -> Self {
        let pool = PgPool::connect(url).await.unwrap();
        Self { pool, tables, waker }
    }

    async fn place(&mut self, order: i64, what: What, end: End) -> Result<(), ShopError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO orders (id) VALUES ($1)")
            .bind(order)
            .execute(&mut *transaction)
            .await?;
        let messages = match what {
            What::Event => vec![OutboxMessage::from_event(&OrderPlacedV1 { order_id: order })?],
            What::Events(count) => events(order, count)
                .iter()
                .map(OutboxMessage::from_event)
                .collect::<Result<_, _>>()?,
            What::Message(message) => vec![*message],
        };
        for message in messages {
            let insert = message.insert_into(&self.tables);
            let insert = match insert {
                Err(error) if end == End::CommitAnyway => {
                    transaction.commit().await?;
                    return Err(error.into());
                }
                insert => insert?,
            };
            let mut query = sqlx::query(AssertSqlSafe(insert.sql()));
            for parameter in insert.parameters() {
                query = match parameter {
                    Parameter::Text(text) => query.bind(text),
                    Parameter::Bytes(bytes) => query.bind(bytes),
                };
            }
            assert_eq!(query.execute(&mut *transaction).await?.rows_affected(), 1);
        }
        match end {
            End::Commit | End::CommitAnyway => {
                transaction.commit().await?;
                self.waker.wake();
            }
            End::Rollback => transaction.rollback().await?,
            End::Panic => panic!("in the middle of a transaction"),
        }
        Ok(())
    }
}

cases! {
    Shop:
    rows_and_records_are_those_of_sqlx,
    an_event_carries_its_context,
    a_rollback_leaves_nothing,
    a_panic_leaves_nothing,
    a_commit_wakes_the_relay,
    a_wrong_message_is_refused_before_anything_is_written,
    tables_may_have_other_names,
}
