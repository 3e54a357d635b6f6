//! tokio-postgres.

use ::tokio_postgres::Transaction;
use ::tokio_postgres::types::{ToSql, Type};

use super::writer::Answer;
use super::{Insert, Parameter, Writer};
use crate::enqueue::Enqueued;
use crate::error::Error;
use crate::event::OutboxEvent;
use crate::message::OutboxMessage;

/// Selects [tokio-postgres](::tokio_postgres) for a [`Writer`]. Transactions of deadpool and bb8 work, too.
#[derive(Debug, Clone, Copy)]
pub enum TokioPostgres {}

impl Writer<TokioPostgres> {
    /// Inserts an event in a transaction.
    ///
    /// ```no_run
    /// # use outbox_runtime::OutboxEvent;
    /// # use outbox_runtime::writers::{TokioPostgres, Writer};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// # async fn example(
    /// #     client: &mut tokio_postgres::Client,
    /// #     writer: Writer<TokioPostgres>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let transaction = client.transaction().await?;
    /// transaction.execute("INSERT INTO orders (id) VALUES (7)", &[]).await?;
    /// let enqueued = writer.enqueue(&transaction, OrderPlacedV1 { order_id: 7 }).await?;
    /// transaction.commit().await?;
    /// enqueued.wake();
    /// # Ok(()) }
    /// ```
    ///
    /// One round trip: the statement is not prepared under a name, so a pooler may be in between.
    ///
    /// Cancellation: if the future is dropped before it ends, the event may or may not be in the transaction.
    /// Roll the transaction back.
    ///
    /// # Errors
    /// An event that could not be stored or sent, before anything is written; or the database's error.
    pub async fn enqueue<E: OutboxEvent>(
        &self,
        transaction: &Transaction<'_>,
        event: E,
    ) -> Result<Enqueued, Error> {
        let inserts = self.inserts_of([event])?;
        self.write(transaction, inserts).await
    }

    /// Like [`enqueue`](Self::enqueue), for many events in order, with few statements.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_all<I>(&self, transaction: &Transaction<'_>, events: I) -> Result<Enqueued, Error>
    where
        I: IntoIterator,
        I::Item: OutboxEvent,
    {
        let inserts = self.inserts_of(events)?;
        self.write(transaction, inserts).await
    }

    /// Like [`enqueue`](Self::enqueue), for a message that was built by hand or has its own id.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_message(
        &self,
        transaction: &Transaction<'_>,
        message: OutboxMessage,
    ) -> Result<Enqueued, Error> {
        let inserts = self.inserts(vec![message])?;
        self.write(transaction, inserts).await
    }

    async fn write(&self, transaction: &Transaction<'_>, inserts: Vec<Insert>) -> Result<Enqueued, Error> {
        for insert in &inserts {
            let rows = transaction
                .execute_typed(insert.sql(), &typed(insert))
                .await
                .map_err(|error| self.failed(error, answer))?;
            self.confirm(insert, rows)?;
        }
        Ok(self.enqueued(inserts))
    }
}

fn answer(error: &::tokio_postgres::Error) -> Option<Answer<'_>> {
    let error = error.as_db_error()?;
    Some((error.code().code().into(), error.message()))
}

fn typed(insert: &Insert) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let parameters = insert.parameters().iter();
    parameters
        .map(|parameter| -> (&(dyn ToSql + Sync), Type) {
            match parameter {
                Parameter::Text(text) => (text, Type::TEXT),
                Parameter::Bytes(bytes) => (bytes, Type::BYTEA),
            }
        })
        .collect()
}
