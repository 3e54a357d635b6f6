//! Writing messages into a transaction that the caller owns.

use uuid::Uuid;

use crate::database::OutboxDatabase;
use crate::error::Error;
use crate::event::OutboxEvent;
use crate::message::{OutboxMessage, kinds, payload_bytes};
use crate::outbox::Outbox;
use crate::transaction::in_callers_transaction;
use crate::wake::RelayWaker;

/// Messages that were inserted in a transaction and commit with it.
///
/// Call [`wake`](Self::wake) after the commit. Without it, the relay finds the messages at its next poll.
#[derive(Debug)]
#[must_use = "call `.wake()` after the commit, or the events wait for the relay's next poll"]
pub struct Enqueued {
    ids: Vec<Uuid>,
    waker: RelayWaker,
}

impl Enqueued {
    pub(crate) fn new(ids: Vec<Uuid>, waker: RelayWaker) -> Self {
        Self { ids, waker }
    }

    /// The ids of the events, in order.
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// Wakes the relay of this process. Call it after the commit.
    pub fn wake(self) {
        if !self.ids.is_empty() {
            self.waker.wake();
        }
    }
}

impl<DB: OutboxDatabase> Outbox<DB> {
    /// Inserts an event in a transaction of sqlx that the caller commits.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Outbox, OutboxEvent};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// # async fn example(outbox: Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.pool().begin().await?;
    /// sqlx::query("INSERT INTO orders (id) VALUES (7)").execute(&mut *tx).await?;
    /// let enqueued = outbox.enqueue(&mut tx, &OrderPlacedV1 { order_id: 7 }).await?;
    /// tx.commit().await?;
    /// enqueued.wake();
    /// # Ok(()) }
    /// ```
    ///
    /// It accepts only a transaction, not a pool, so that an event is always written together with the change
    /// that it reports.
    ///
    /// Cancellation: if the future is dropped before it ends, the event may or may not be in the transaction.
    /// Roll the transaction back.
    ///
    /// # Errors
    /// An event that could not be stored or sent, before anything is written; or the database's error.
    pub async fn enqueue<E: OutboxEvent>(
        &self,
        tx: &mut sqlx::Transaction<'_, DB>,
        event: E,
    ) -> Result<Enqueued, Error> {
        let message = OutboxMessage::from_event(&event)?;
        self.write(tx, vec![message]).await
    }

    /// Like [`enqueue`](Self::enqueue), for many events in order, with few statements.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_all<I>(
        &self,
        tx: &mut sqlx::Transaction<'_, DB>,
        events: I,
    ) -> Result<Enqueued, Error>
    where
        I: IntoIterator,
        I::Item: OutboxEvent,
    {
        let messages = events.into_iter().map(|event| OutboxMessage::from_event(&event));
        let messages = messages.collect::<Result<_, _>>()?;
        self.write(tx, messages).await
    }

    /// Like [`enqueue`](Self::enqueue), for a message that was built by hand or has its own id.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_message(
        &self,
        tx: &mut sqlx::Transaction<'_, DB>,
        message: OutboxMessage,
    ) -> Result<Enqueued, Error> {
        self.write(tx, vec![message]).await
    }

    /// Applies the modes, as far as that goes in a transaction that somebody else commits: what would be sent directly
    /// goes into the log.
    async fn routed(
        &self,
        tx: &mut sqlx::Transaction<'_, DB>,
        messages: Vec<OutboxMessage>,
    ) -> Result<Vec<OutboxMessage>, Error> {
        let Some(modes) = self.modes() else {
            return Ok(messages);
        };
        let in_force = modes
            .hold(tx)
            .await
            .map_err(|error| Error::database("read the modes", error))?;
        Ok(in_callers_transaction(messages, &in_force, modes.shadow()))
    }

    async fn write(
        &self,
        tx: &mut sqlx::Transaction<'_, DB>,
        messages: Vec<OutboxMessage>,
    ) -> Result<Enqueued, Error> {
        messages
            .iter()
            .try_for_each(|message| self.limits().check(message))?;
        let messages = self.routed(tx, messages).await?;
        let timer = self.metrics().inserting();
        DB::insert(tx, self.statements(), &messages)
            .await
            .map_err(|error| Error::on_tables("write the outbox messages", self.tables(), error))?;
        self.metrics()
            .inserted(&timer, messages.len(), payload_bytes(&messages));
        self.metrics().written(kinds(&messages));
        let ids = messages.iter().map(OutboxMessage::id).collect();
        Ok(Enqueued::new(ids, self.waker()))
    }
}
