//! A handler that runs once for a message.

use super::{Identified, Inbox, Processed};
use crate::database::OutboxDatabase;
use crate::error::Error;
use crate::received::identity::Incoming;
use crate::transaction::{Attempts, Judged, OutboxTx, TransactionOptions, TransactionSource};

impl<DB: OutboxDatabase> Inbox<DB> {
    /// Runs `handler` in the transaction `tx` if `consumer` has not processed `message` yet.
    ///
    /// The message is recorded first, then the handler runs. The record, the handler's writes and its events
    /// are committed together, or not at all. If another transaction processes the same message, this call
    /// waits for its end. If that transaction commits, the message was processed
    /// [`Before`](Processed::Before). If it rolls back, the handler runs here.
    ///
    /// `consumer` is the consumer's name, such as `"spellcheck"`, of 1 to 512 bytes. Each consumer processes
    /// each message once.
    ///
    /// The handler's events inherit the message's correlation id and trace context, unless it sets others
    /// with [`OutboxTx::set_context`]. If the message has no correlation id, its id is used.
    ///
    /// If a handler fails, panics or is dropped, the transaction can only roll back, as after a joined call:
    /// even if the caller continues, it ends with
    /// [`ErrorKind::RollbackOnly`](crate::ErrorKind::RollbackOnly). To continue, make this call inside
    /// [`tx.savepoint`](OutboxTx::savepoint), which also rolls back the record of the message.
    ///
    /// On PostgreSQL with an isolation above `read_committed`, a message that another transaction processes
    /// concurrently causes a serialization failure (SQLSTATE 40001): use
    /// [`retry`](TransactionOptions::retry).
    ///
    /// Cancellation: if the future is dropped before it ends, the transaction can only roll back.
    ///
    /// # Errors
    /// The error of `handler`; or, from this library, an id or a name that the inbox cannot store
    /// ([`ErrorKind::InvalidText`](crate::ErrorKind::InvalidText)), or the database's error.
    pub async fn process<T, E, F, M>(
        &self,
        tx: &mut OutboxTx<'_, DB>,
        consumer: &str,
        message: &M,
        handler: F,
    ) -> Result<Processed<T>, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E>,
        E: From<Error>,
        M: Identified + ?Sized,
    {
        let mut attempts = Attempts::new(tx.into_source(), TransactionOptions::new());
        let mut begun = attempts.begin().await;
        begun.receive(consumer, Incoming::of(message)).await;
        let outcome = match begun.open() {
            Some((tx, body)) => Some(body.run(Box::pin(handler(tx))).await.map(Processed::Now)),
            None => None,
        };
        begun.settle(Judged::of_message(outcome)).await
    }
}
