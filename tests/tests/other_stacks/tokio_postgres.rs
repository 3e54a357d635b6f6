//! tokio-postgres.

use outbox_runtime::writers::{TokioPostgres, Writer};
use outbox_runtime::{RelayWaker, Tables};
use tokio_postgres::{Client, NoTls};

use crate::cases::cases;
use crate::scene::{End, OrderPlacedV1, ShopError, Stack, What, events};

pub(crate) struct Shop {
    client: Client,
    writer: Writer<TokioPostgres>,
}

impl Stack for Shop {
    async fn open(url: &str, tables: Tables, waker: RelayWaker) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let writer = Writer::new().tables(tables).waker(waker);
        Self { client, writer }
    }

    async fn place(&mut self, order: i64, what: What, end: End) -> Result<(), ShopError> {
        let transaction = self.client.transaction().await?;
        transaction
            .execute("INSERT INTO orders (id) VALUES ($1)", &[&order])
            .await?;
        let writer = &self.writer;
        let enqueued = match what {
            What::Event => {
                writer
                    .enqueue(&transaction, OrderPlacedV1 { order_id: order })
                    .await
            }
            What::Events(count) => writer.enqueue_all(&transaction, events(order, count)).await,
            What::Message(message) => writer.enqueue_message(&transaction, *message).await,
        };
        match end {
            End::Commit => {
                let enqueued = enqueued?;
                transaction.commit().await?;
                enqueued.wake();
            }
            End::CommitAnyway => {
                transaction.commit().await?;
                enqueued?.wake();
            }
            End::Rollback => transaction.rollback().await?,
            End::Panic => panic!("in the middle of a transaction: {enqueued:?}"),
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
    many_events_keep_their_order,
    a_commit_wakes_the_relay,
    a_wrong_message_is_refused_before_anything_is_written,
    tables_may_have_other_names,
    an_error_says_what_to_do,
}
