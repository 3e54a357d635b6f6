//! A part of a transaction that can fail alone.

use super::{Open, OutboxTx, RollbackReason};
use crate::database::OutboxDatabase;
use crate::error::{Error, ErrorKind};

const SAVEPOINT: &str = "SAVEPOINT outbox_savepoint";
const RELEASE: &str = "RELEASE SAVEPOINT outbox_savepoint";
// Going back leaves the savepoint there; an outer one of the same name must be the next.
const GO_BACK: &str = "ROLLBACK TO SAVEPOINT outbox_savepoint; RELEASE SAVEPOINT outbox_savepoint";

impl<DB: OutboxDatabase> OutboxTx<'_, DB> {
    /// Runs a part of the transaction that may fail without failing the whole transaction.
    ///
    /// If `part` returns `Err`, its SQL and its events are rolled back and the transaction continues, even if a
    /// joined call inside `part` failed. Savepoints can be nested.
    ///
    /// ```no_run
    /// # use outbox_runtime::{OutboxTx, transactional};
    /// # use sqlx::Sqlite;
    /// # type Error = Box<dyn std::error::Error + Send + Sync>;
    /// # #[transactional] async fn charge(tx: &mut OutboxTx<'_, Sqlite>, order: i64) -> Result<(), Error> { Ok(()) }
    /// #[transactional]
    /// async fn settle(tx: &mut OutboxTx<'_, Sqlite>, order: i64) -> Result<bool, Error> {
    ///     let charged = tx.savepoint(async |tx| charge(&mut *tx, order).await).await;
    ///     Ok(charged.is_ok())
    /// }
    /// ```
    ///
    /// Cancellation: if the future is dropped before it ends, or `part` panics, the transaction can only roll
    /// back.
    ///
    /// # Errors
    /// The error of `part`; or an error of this library, if the savepoint could not be set, or a statement
    /// failed in `part` although it returned `Ok`.
    pub async fn savepoint<T, E, F>(&mut self, part: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E>,
        E: From<Error>,
    {
        let guard = Savepoint::set(self.open_mut()).await?;
        match part(&mut OutboxTx::joining(guard.open)).await {
            Ok(value) => {
                guard.release().await?;
                Ok(value)
            }
            Err(error) => {
                guard.go_back().await?;
                Err(error)
            }
        }
    }
}

/// A savepoint that was set: what to go back to, and why the transaction had to roll back before it.
struct Savepoint<'a, DB: OutboxDatabase> {
    open: &'a mut Open<DB>,
    buffered: usize,
    rollback_reason: Option<RollbackReason>,
    ended: bool,
}

impl<'a, DB: OutboxDatabase> Savepoint<'a, DB> {
    async fn set(open: &'a mut Open<DB>) -> Result<Self, Error> {
        let mut guard = Self {
            buffered: open.buffer.len(),
            rollback_reason: open.rollback_reason,
            open,
            ended: false,
        };
        let set = DB::run(&mut guard.open.transaction, SAVEPOINT).await;
        // Refused, it changed nothing; not answered, it may have.
        guard.ended = true;
        set.map_err(|error| failed::<DB>(error, "set a savepoint"))?;
        guard.ended = false;
        Ok(guard)
    }

    async fn release(mut self) -> Result<(), Error> {
        match DB::run(&mut self.open.transaction, RELEASE).await {
            Ok(()) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => {
                self.go_back().await?;
                Err(failed::<DB>(error, "release a savepoint"))
            }
        }
    }

    async fn go_back(mut self) -> Result<(), Error> {
        DB::run(&mut self.open.transaction, GO_BACK)
            .await
            .map_err(|error| failed::<DB>(error, "roll back to a savepoint"))?;
        self.open.buffer.truncate(self.buffered);
        self.open.rollback_reason = self.rollback_reason;
        self.ended = true;
        Ok(())
    }
}

impl<DB: OutboxDatabase> Drop for Savepoint<'_, DB> {
    fn drop(&mut self) {
        if !self.ended {
            self.open
                .rollback_reason
                .get_or_insert(RollbackReason::SavepointAbandoned);
        }
    }
}

fn failed<DB: OutboxDatabase>(error: sqlx::Error, doing: &str) -> Error {
    if DB::is_aborted(&error) {
        let message = "an SQL statement had failed inside a savepoint and its error was not returned";
        return Error::new(ErrorKind::SwallowedError, message).with_source(error);
    }
    Error::database(doing, error)
}
