//! diesel.

use ::diesel::connection::Connection;
use ::diesel::pg::Pg;
use ::diesel::query_builder::{AstPass, QueryFragment, QueryId};
use ::diesel::query_dsl::RunQueryDsl;
use ::diesel::result::{Error as DieselError, QueryResult};
use ::diesel::sql_types::{Binary, Nullable, Text};

use super::writer::Answer;
use super::{Insert, Parameter, Writer};
use crate::enqueue::Enqueued;
use crate::error::Error;
use crate::event::OutboxEvent;
use crate::message::OutboxMessage;

/// Selects [diesel](::diesel) for a [`Writer`]: `PgConnection`, pooled or not, and other connections to
/// PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub enum Diesel {}

impl Writer<Diesel> {
    /// Inserts an event. Call it inside of `transaction`; elsewhere, the insert would commit alone and at
    /// once.
    ///
    /// ```no_run
    /// # use outbox_runtime::OutboxEvent;
    /// # use outbox_runtime::writers::{Diesel, Writer};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// use diesel::Connection;
    ///
    /// # type Error = Box<dyn std::error::Error + Send + Sync>;
    /// fn place<C>(connection: &mut C, writer: &Writer<Diesel>) -> Result<(), Error>
    /// where
    ///     C: Connection<Backend = diesel::pg::Pg>,
    /// {
    ///     let enqueued = connection.transaction(|connection| {
    ///         // The rows that the event reports come here.
    ///         Ok::<_, Error>(writer.enqueue(connection, OrderPlacedV1 { order_id: 7 })?)
    ///     })?;
    ///     enqueued.wake();
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// An event that could not be stored or sent, before anything is written; or the database's error.
    pub fn enqueue<C, E>(&self, connection: &mut C, event: E) -> Result<Enqueued, Error>
    where
        C: Connection<Backend = Pg>,
        E: OutboxEvent,
    {
        self.enqueue_all(connection, [event])
    }

    /// Like [`enqueue`](Self::enqueue), for many events in order, with few statements.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_all<C, I>(&self, connection: &mut C, events: I) -> Result<Enqueued, Error>
    where
        C: Connection<Backend = Pg>,
        I: IntoIterator,
        I::Item: OutboxEvent,
    {
        self.write(connection, self.inserts_of(events)?)
    }

    /// Like [`enqueue`](Self::enqueue), for a message that was built by hand or has its own id.
    ///
    /// A message that is made by [`OutboxMessage::from_event`] in async code carries the
    /// [`EventContext`](crate::EventContext) of its request into the thread that blocks.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_message<C>(&self, connection: &mut C, message: OutboxMessage) -> Result<Enqueued, Error>
    where
        C: Connection<Backend = Pg>,
    {
        self.write(connection, self.inserts(vec![message])?)
    }

    fn write<C>(&self, connection: &mut C, inserts: Vec<Insert>) -> Result<Enqueued, Error>
    where
        C: Connection<Backend = Pg>,
    {
        for insert in &inserts {
            let rows = insert
                .execute(connection)
                .map_err(|error| self.failed(error, answer))?;
            self.confirm(insert, rows as u64)?;
        }
        Ok(self.enqueued(inserts))
    }
}

/// diesel does not pass on PostgreSQL's code, so the message has to do, where the server speaks English.
fn answer(error: &DieselError) -> Option<Answer<'_>> {
    let DieselError::DatabaseError(_, information) = error else {
        return None;
    };
    let says = information.message();
    let code = if says.starts_with("permission denied") {
        "42501"
    } else if !says.ends_with("does not exist") {
        return None;
    } else if says.starts_with("column") {
        "42703"
    } else {
        "42P01"
    };
    Some((code.into(), says))
}

/// An insert is a query of diesel: `insert.execute(connection)` returns the number of rows.
impl QueryFragment<Pg> for Insert {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Statements for several rows come in as many shapes as there are lengths.
        if self.ids().len() > 1 {
            out.unsafe_to_cache_prepared();
        }
        out.push_sql(self.head());
        for (before, parameter, cast) in self.parts() {
            out.push_sql(before);
            match parameter {
                Parameter::Text(text) => out.push_bind_param::<Nullable<Text>, _>(text)?,
                Parameter::Bytes(bytes) => out.push_bind_param::<Nullable<Binary>, _>(bytes)?,
            }
            out.push_sql(cast);
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryId for Insert {
    type QueryId = ();
    // The name of the table is known at run time only.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> RunQueryDsl<C> for Insert {}
impl<C> RunQueryDsl<C> for &Insert {}
