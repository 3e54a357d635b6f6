//! Where transactions begin: closures that run in one.

use super::{Attempts, OutboxTx, RetryableError, Seen, TransactionOptions, TransactionSource};
use crate::database::OutboxDatabase;
use crate::error::Error;
use crate::outbox::Outbox;

impl<DB: OutboxDatabase> Outbox<DB> {
    /// Runs `body` in a new transaction. Commits it with its events if `body` returns `Ok`, and rolls back if
    /// `body` returns `Err` or panics.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Outbox, OutboxEvent};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// # async fn example(outbox: Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let order_id = 7;
    /// outbox
    ///     .transaction(async |tx| {
    ///         sqlx::query("INSERT INTO orders (id) VALUES (?)").bind(order_id).execute(&mut **tx).await?;
    ///         tx.emit(OrderPlacedV1 { order_id })?;
    ///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// Write `async |tx| { … }`. The compiler refuses `|tx| async move { … }` as "not general enough".
    ///
    /// Cancellation: if the future is dropped before COMMIT was sent, nothing is committed. If it is dropped
    /// during COMMIT, the transaction may or may not have committed. Locks are held until the running
    /// statement has ended; a `statement_timeout` limits that.
    ///
    /// # Errors
    /// The error of `body`, or an [`Error`] of this library converted to `E`: see
    /// [`ErrorKind`](crate::ErrorKind).
    pub async fn transaction<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E>,
        E: From<Error>,
    {
        self.attempts(TransactionOptions::new()).once(body).await
    }

    /// Like [`transaction`](Self::transaction), with an isolation level and retries.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Isolation, Outbox, TransactionOptions};
    /// # async fn example(outbox: Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let options = TransactionOptions::new().isolation(Isolation::Serializable).retry(3);
    /// outbox
    ///     .transaction_with(options, async |tx| {
    ///         sqlx::query("UPDATE stock SET left = left - 1").execute(&mut **tx).await?;
    ///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// Each attempt runs a clone of `body`, so its captured values must be `Clone`.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction), of the last attempt.
    pub async fn transaction_with<T, E, F, M>(&self, options: TransactionOptions, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E> + Clone,
        E: From<Error> + RetryableError<M>,
    {
        let mut attempts = self.attempts(options);
        loop {
            let result = attempts.once(body.clone()).await;
            let Err(error) = &result else { return result };
            let pause = attempts.again(&Seen::error(error));
            match pause {
                Some(pause) => pause.await,
                None => return result,
            }
        }
    }

    fn attempts(&self, options: TransactionOptions) -> Attempts<'_, DB> {
        Attempts::new(self.into_source(), options)
    }
}
