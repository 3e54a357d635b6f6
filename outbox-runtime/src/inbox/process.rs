//! A handler that runs once for a message.

use super::{Identified, Inbox, Processed};
use crate::database::OutboxDatabase;
use crate::error::Error;
use crate::received::identity::Incoming;
use crate::transaction::{Attempts, Judged, OutboxTx, TransactionOptions, TransactionSource};

impl<DB: OutboxDatabase> Inbox<DB> {
    /// Runs `handler` in the transaction `tx` if `consumer` has not processed `message` yet.
    ///
    /// The message is written down first, then the handler runs: that it was processed, what the handler does
    /// and what it emits is committed together, or not at all. If another transaction is at the same message,
    /// this waits for its end: if that one commits, the message was processed [`Before`](Processed::Before), and
    /// if it rolls back, the handler runs here.
    ///
    /// `consumer` is who acts, such as `"spellcheck"`: 1 to 512 bytes. Each consumer processes each message
    /// once.
    ///
    /// What the handler emits has the message's correlation id and trace context, until it sets others with
    /// [`OutboxTx::set_context`]. A message without a correlation id gives its own id for one.
    ///
    /// A handler that fails, panics or is dropped takes the transaction with it, as a joined call does: even if
    /// the caller goes on, it ends with [`ErrorKind::RollbackOnly`](crate::ErrorKind::RollbackOnly). Who wants to
    /// go on makes this call inside [`tx.savepoint`](OutboxTx::savepoint), which takes back that the message was
    /// processed, too.
    ///
    /// On PostgreSQL with an isolation above `read_committed`, a message that another transaction processes at
    /// the same time is a serialization failure (SQLSTATE 40001): begin again, with
    /// [`retry`](TransactionOptions::retry).
    ///
    /// Cancellation: dropped before it ends, the transaction can only be rolled back.
    ///
    /// # Errors
    /// What `handler` returned; or, from this library, an id or a name that the inbox cannot hold
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
