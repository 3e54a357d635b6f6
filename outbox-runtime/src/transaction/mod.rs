//! Transactions, and the events that commit with them.

mod attempt;
mod begin;
mod entry;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod executor;
mod nesting;
mod open;
mod options;
mod result;
pub(crate) mod retry;
mod routing;
mod savepoint;
mod source;

use std::fmt;
use std::ops::{Deref, DerefMut};

use uuid::Uuid;

use crate::database::OutboxDatabase;
use crate::error::Error;
use crate::event::{EventContext, OutboxEvent};
use crate::message::OutboxMessage;

pub use attempt::{Attempts, Begun, Body, Judged};
pub use nesting::Running;
pub use options::TransactionOptions;
pub use result::{TransactionError, TransactionResult};
pub(crate) use retry::Seen;
pub use retry::{RetryableError, seen};
pub use routing::OwnPublishing;
pub(crate) use routing::in_callers_transaction;
pub use source::{Source, TransactionSource};

use open::{Open, RollbackReason};

/// An open transaction: a database connection, and the events that commit with it.
///
/// It is an executor of sqlx by `&mut *tx`, and dereferences to the connection, `&mut **tx`:
///
/// ```no_run
/// # use outbox_runtime::{OutboxTx, OutboxEvent, transactional};
/// # use sqlx::Sqlite;
/// # #[derive(serde::Serialize, OutboxEvent)]
/// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
/// # struct OrderPlacedV1 { order_id: i64 }
/// #[transactional]
/// async fn place(tx: &mut OutboxTx<'_, Sqlite>, order_id: i64) -> anyhow_like::Result<()> {
///     sqlx::query("INSERT INTO orders (id) VALUES (?)").bind(order_id).execute(&mut *tx).await?;
///     tx.emit(OrderPlacedV1 { order_id })?;
///     Ok(())
/// }
/// # mod anyhow_like { pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>; }
/// ```
///
/// [`#[transactional]`](crate::transactional), [`Outbox::transaction`](crate::Outbox::transaction) and
/// [`savepoint`](Self::savepoint) create it. They commit it if the code they run returns `Ok`, and roll it
/// back if that returns `Err`, panics or is dropped. Do not execute COMMIT or ROLLBACK on it: later events
/// would be outside of a transaction.
pub struct OutboxTx<'c, DB: OutboxDatabase> {
    handle: Handle<'c, DB>,
}

enum Handle<'c, DB: OutboxDatabase> {
    Owned(Box<Open<DB>>),
    Joined(&'c mut Open<DB>),
}

impl<'c, DB: OutboxDatabase> OutboxTx<'c, DB> {
    fn owning(open: Box<Open<DB>>) -> Self {
        Self {
            handle: Handle::Owned(open),
        }
    }

    fn joining(open: &'c mut Open<DB>) -> Self {
        Self {
            handle: Handle::Joined(open),
        }
    }

    fn open(&self) -> &Open<DB> {
        match &self.handle {
            Handle::Owned(open) => open,
            Handle::Joined(open) => open,
        }
    }

    fn open_mut(&mut self) -> &mut Open<DB> {
        match &mut self.handle {
            Handle::Owned(open) => open,
            Handle::Joined(open) => open,
        }
    }

    /// Adds an event to the transaction and returns its id, a new UUIDv7.
    ///
    /// Does not access the database: all events are written together right before COMMIT. Id, time, payload,
    /// headers and context are fixed by this call.
    ///
    /// # Errors
    /// An event that could not be stored or sent is refused here, with its type and the limit in the message:
    /// see [`ErrorKind`](crate::ErrorKind). The transaction can still be committed. The caller decides
    /// whether to roll it back, for example with `?`.
    pub fn emit<E: OutboxEvent>(&mut self, event: E) -> Result<Uuid, Error> {
        let message = self.message(Uuid::now_v7(), &event)?;
        self.emit_message(message)
    }

    /// Like [`emit`](Self::emit), with an id from the caller. Use it for work that may be repeated after a
    /// commit of unknown outcome, so that consumers recognize the duplicate.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub fn emit_with_id<E: OutboxEvent>(&mut self, id: Uuid, event: E) -> Result<Uuid, Error> {
        let message = self.message(id, &event)?;
        self.emit_message(message)
    }

    /// Adds many events in order and returns their ids. They are inserted with few statements.
    ///
    /// # Errors
    /// As [`emit`](Self::emit); then none of these events is added.
    pub fn emit_all<I>(&mut self, events: I) -> Result<Vec<Uuid>, Error>
    where
        I: IntoIterator,
        I::Item: OutboxEvent,
    {
        let mark = self.open().buffer.len();
        let added: Result<Vec<_>, _> = events.into_iter().map(|event| self.emit(event)).collect();
        if added.is_err() {
            self.open_mut().buffer.truncate(mark);
        }
        added
    }

    /// Adds a message that was built by hand and returns its id.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub fn emit_message(&mut self, message: OutboxMessage) -> Result<Uuid, Error> {
        let open = self.open_mut();
        open.outbox.limits().check(&message)?;
        let id = message.id();
        open.buffer.push(message);
        Ok(id)
    }

    /// Sets the correlation id and trace context of later events, instead of those of
    /// [`EventContext::current`]. Applies to the rest of the transaction, including joined calls.
    pub fn set_context(&mut self, context: EventContext) {
        self.open_mut().context = Some(context);
    }

    fn message<E: OutboxEvent>(&self, id: Uuid, event: &E) -> Result<OutboxMessage, Error> {
        match &self.open().context {
            Some(context) => OutboxMessage::in_context(id, event, Some(context)),
            None => OutboxMessage::in_context(id, event, EventContext::current().as_ref()),
        }
    }
}

impl<DB: OutboxDatabase> Deref for OutboxTx<'_, DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        &self.open().transaction
    }
}

impl<DB: OutboxDatabase> DerefMut for OutboxTx<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.open_mut().transaction
    }
}

impl<DB: OutboxDatabase> fmt::Debug for OutboxTx<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxTx")
            .field("database", &DB::NAME)
            .field("joined", &matches!(self.handle, Handle::Joined(_)))
            .field("events", &self.open().buffer.len())
            .finish()
    }
}
