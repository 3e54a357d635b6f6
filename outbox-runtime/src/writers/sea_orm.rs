//! sea-orm.

use ::sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, Statement, Value};

use super::writer::Answer;
use super::{Insert, Parameter, Writer};
use crate::enqueue::Enqueued;
use crate::error::{Error, ErrorKind};
use crate::event::OutboxEvent;
use crate::message::OutboxMessage;

/// Selects [sea-orm](::sea_orm) for a [`Writer`].
#[derive(Debug, Clone, Copy)]
pub enum SeaOrm {}

impl Writer<SeaOrm> {
    /// Inserts an event in a transaction.
    ///
    /// ```no_run
    /// # use outbox_runtime::OutboxEvent;
    /// # use outbox_runtime::writers::{SeaOrm, Writer};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// # async fn example(
    /// #     database: &sea_orm::DatabaseConnection,
    /// #     writer: Writer<SeaOrm>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::{ConnectionTrait, TransactionTrait};
    ///
    /// let transaction = database.begin().await?;
    /// transaction.execute_unprepared("INSERT INTO orders (id) VALUES (7)").await?;
    /// let enqueued = writer.enqueue(&transaction, OrderPlacedV1 { order_id: 7 }).await?;
    /// transaction.commit().await?;
    /// enqueued.wake();
    /// # Ok(()) }
    /// ```
    ///
    /// Cancellation: if the future is dropped before it ends, the event may or may not be in the transaction.
    /// Roll the transaction back.
    ///
    /// # Errors
    /// An event that could not be stored or sent, before anything is written; a transaction of another database than
    /// PostgreSQL; or the database's error.
    pub async fn enqueue<E: OutboxEvent>(
        &self,
        transaction: &DatabaseTransaction,
        event: E,
    ) -> Result<Enqueued, Error> {
        let inserts = self.inserts_of([event])?;
        self.write(transaction, inserts).await
    }

    /// Like [`enqueue`](Self::enqueue), for many events in order, with few statements.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_all<I>(
        &self,
        transaction: &DatabaseTransaction,
        events: I,
    ) -> Result<Enqueued, Error>
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
        transaction: &DatabaseTransaction,
        message: OutboxMessage,
    ) -> Result<Enqueued, Error> {
        let inserts = self.inserts(vec![message])?;
        self.write(transaction, inserts).await
    }

    async fn write(
        &self,
        transaction: &DatabaseTransaction,
        inserts: Vec<Insert>,
    ) -> Result<Enqueued, Error> {
        let backend = transaction.get_database_backend();
        if backend != DbBackend::Postgres {
            let says = format!("this is a transaction of {backend:?}: a `Writer` writes to PostgreSQL only");
            return Err(Error::new(ErrorKind::Database, says));
        }
        for insert in &inserts {
            let written = transaction
                .execute_raw(statement(insert))
                .await
                .map_err(|error| self.failed(error, answer))?;
            self.confirm(insert, written.rows_affected())?;
        }
        Ok(self.enqueued(inserts))
    }
}

fn answer(error: &DbErr) -> Option<Answer<'_>> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    let error = error.as_database_error()?;
    Some((error.code()?, error.message()))
}

fn statement(insert: &Insert) -> Statement {
    let values = insert.parameters().iter().map(|parameter| match parameter {
        Parameter::Text(text) => Value::String(text.clone()),
        Parameter::Bytes(bytes) => Value::Bytes(bytes.clone()),
    });
    Statement::from_sql_and_values(DbBackend::Postgres, insert.sql(), values)
}
