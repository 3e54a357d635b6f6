//! The transaction itself: one connection, one buffer, one end.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Transaction};
use tracing::{Instrument as _, Span};

use super::begin::begin;
use super::routing;
use crate::database::{Isolation, OutboxDatabase, TransactionStatus};
use crate::error::{Error, ErrorKind};
use crate::event::EventContext;
use crate::message::{OutboxMessage, kinds, payload_bytes};
use crate::metrics::TransactionGuard;
use crate::modes::InForce;
use crate::outbox::{CommitFault, Outbox, connection_lost};
use crate::schema::Tables;
use crate::trace;

/// A transaction that was begun on a connection of its own, and has to be ended.
pub(crate) struct Open<DB: OutboxDatabase> {
    pub(super) outbox: Outbox<DB>,
    pub(super) transaction: Transaction<'static, DB>,
    pub(super) buffer: Vec<OutboxMessage>,
    pub(super) context: Option<EventContext>,
    pub(super) rollback_reason: Option<RollbackReason>,
    /// The modes that the handler has seen.
    pub(super) modes_seen: Option<Arc<InForce>>,
    isolation: Option<Isolation>,
    pub(super) counted: TransactionGuard,
}

/// Why a transaction can only be rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RollbackReason {
    JoinFailed,
    JoinAbandoned,
    SavepointAbandoned,
}

impl<DB: OutboxDatabase> Open<DB> {
    /// Takes a connection and begins, in a span of this attempt. Dropped at any time, it leaves a clean connection
    /// behind.
    pub(super) async fn begin(
        outbox: Outbox<DB>,
        isolation: Option<Isolation>,
        attempt: u32,
    ) -> Result<Box<Self>, Error> {
        let span = trace::transaction(attempt);
        let begun = Self::begin_in(span.clone(), outbox, isolation);
        let begun = begun.instrument(span.clone()).await;
        if begun.is_err() {
            trace::transaction_ended(&span, "not_begun", true);
        }
        begun
    }

    async fn begin_in(
        span: Span,
        outbox: Outbox<DB>,
        isolation: Option<Isolation>,
    ) -> Result<Box<Self>, Error> {
        let connection = clean_connection(outbox.pool()).await;
        let connection =
            connection.map_err(|error| Error::database("get a connection from the pool", error))?;
        let transaction = begin(connection, DB::begin(isolation)).await;
        let transaction = transaction.map_err(|error| Error::database("begin a transaction", error))?;
        Ok(Box::new(Self {
            counted: outbox.metrics().begun(span),
            outbox,
            transaction,
            buffer: Vec::new(),
            context: None,
            rollback_reason: None,
            modes_seen: None,
            isolation,
        }))
    }

    /// Whether a call that asks for `wanted` may join.
    pub(super) async fn admit(&mut self, wanted: Isolation) -> Result<(), Error> {
        let actual = match self.isolation {
            Some(isolation) if isolation >= wanted => return Ok(()),
            // What the database, the role or the session has as its default.
            _ => DB::isolation(&mut self.transaction)
                .await
                .map_err(|error| Error::database("ask for the transaction's isolation", error))?,
        };
        if actual >= wanted {
            self.isolation = Some(actual);
            return Ok(());
        }
        let message = format!(
            "a call that asks for isolation `{wanted}` cannot join a transaction that has `{actual}`: \
             begin the outer one with `{wanted}`"
        );
        Err(Error::new(ErrorKind::WeakerIsolation, message))
    }

    /// The span of this attempt.
    pub(super) fn span(&self) -> &Span {
        self.counted.span()
    }

    /// Brings the events where they go and commits, or rolls back with the reason why not.
    pub(super) async fn commit(self: Box<Self>) -> Result<(), Error> {
        let span = self.span().clone();
        self.commit_in_span().instrument(span).await
    }

    async fn commit_in_span(self: Box<Self>) -> Result<(), Error> {
        self.span().record("outbox.transaction.events", self.buffer.len());
        match self.outbox.modes().cloned() {
            Some(modes) if !self.buffer.is_empty() => routing::commit(self, modes).await,
            Some(_) | None => self.commit_rows().await,
        }
    }

    /// Writes the events and commits, or rolls back with the reason why not.
    pub(super) async fn commit_rows(mut self: Box<Self>) -> Result<(), Error> {
        let xid = match self.prepare().await {
            Ok(xid) => xid,
            Err(error) => {
                self.rollback().await;
                return Err(error);
            }
        };
        let fault = self.outbox.commit_faults().next();
        if fault == Some(CommitFault::Before) {
            self.rollback().await;
            return Err(Error::database("commit", connection_lost()));
        }
        let Self {
            outbox,
            transaction,
            buffer,
            mut counted,
            ..
        } = *self;
        counted.committing();
        if let Err(error) = transaction.commit().await {
            if DB::is_rolled_back(&error) {
                counted.rolled_back();
            }
            return Err(refused_commit::<DB>(xid, error));
        }
        if fault == Some(CommitFault::After) {
            return Err(refused_commit::<DB>(xid, connection_lost()));
        }
        counted.committed();
        outbox.metrics().written(kinds(&buffer));
        if !buffer.is_empty() {
            outbox.waker_ref().wake();
        }
        Ok(())
    }

    /// What is known before COMMIT without asking the database.
    pub(super) fn can_commit(&self) -> Result<(), Error> {
        if let Some(rollback_reason) = self.rollback_reason {
            return Err(rollback_reason.error());
        }
        // sqlx's own nested transactions end the whole one when their begin fails.
        match self.transaction.is_in_transaction() {
            true => Ok(()),
            false => Err(ended_by_hand()),
        }
    }

    /// All that can be known before COMMIT; with the transaction's id.
    pub(super) async fn prepare(&mut self) -> Result<Option<u64>, Error> {
        self.can_commit()?;
        if self.buffer.is_empty() || DB::ENDS_BY_ITSELF {
            let status = DB::verify(&mut self.transaction);
            match status
                .await
                .map_err(|error| flush_failed::<DB>(error, "check the transaction"))?
            {
                TransactionStatus::Ended => return Err(ended_by_hand()),
                TransactionStatus::Open(xid) if self.buffer.is_empty() => return Ok(xid),
                TransactionStatus::Open(_) => {}
            }
        }
        let timer = self.outbox.metrics().inserting();
        let xid = DB::insert(&mut self.transaction, self.outbox.statements(), &self.buffer)
            .await
            .map_err(|error| write_failed::<DB>(error, "write the outbox messages", self.outbox.tables()))?;
        let bytes = payload_bytes(&self.buffer);
        self.outbox.metrics().inserted(&timer, self.buffer.len(), bytes);
        Ok(xid)
    }

    /// Refuses to write into a transaction that has ended by itself: it would be committed apart from the rest.
    pub(super) async fn still_there(&mut self) -> Result<(), Error> {
        if !self.transaction.is_in_transaction() {
            return Err(ended_by_hand());
        }
        if DB::ENDS_BY_ITSELF {
            let status = DB::verify(&mut self.transaction).await;
            if status.map_err(|error| flush_failed::<DB>(error, "check the transaction"))?
                == TransactionStatus::Ended
            {
                return Err(ended_by_hand());
            }
        }
        Ok(())
    }

    /// Whether the database has aborted the transaction: it takes no statement any more.
    pub(super) async fn is_aborted(&mut self) -> bool {
        !DB::ENDS_BY_ITSELF
            && matches!(DB::verify(&mut self.transaction).await, Err(error) if DB::is_aborted(&error))
    }

    /// Rolls back. That this fails changes nothing for the caller: what is not committed is not there.
    pub(super) async fn rollback(mut self: Box<Self>) {
        if DB::ENDS_BY_ITSELF {
            // sqlx counts on finding a transaction; without one it would never let go of the connection.
            let _ = DB::verify(&mut self.transaction).await;
        }
        if let Err(error) = self.transaction.rollback().await {
            tracing::debug!(%error, "ROLLBACK failed; the server rolls back by itself");
        }
    }
}

/// A connection without a transaction. One that was dropped after SQLite had ended its transaction by itself
/// still counts it.
async fn clean_connection<DB: OutboxDatabase>(
    pool: &sqlx::Pool<DB>,
) -> Result<PoolConnection<DB>, sqlx::Error> {
    loop {
        let connection = pool.acquire().await?;
        if !connection.is_in_transaction() {
            return Ok(connection);
        }
        connection.close().await?;
    }
}

impl RollbackReason {
    fn error(self) -> Error {
        let message = match self {
            Self::JoinFailed => {
                "the transaction was rolled back because a call that had joined it failed; \
                 return that error, or make the call inside `tx.savepoint(…)`"
            }
            Self::JoinAbandoned => {
                "the transaction was rolled back because a call that had joined it panicked or was dropped \
                 before it ended"
            }
            Self::SavepointAbandoned => {
                "the transaction was rolled back because a savepoint was left before it ended"
            }
        };
        Error::new(ErrorKind::RollbackOnly, message)
    }
}

fn ended_by_hand() -> Error {
    let message = "the transaction ended before its function returned; its events are not written";
    Error::new(ErrorKind::EndedByHand, message)
}

pub(super) fn flush_failed<DB: OutboxDatabase>(error: sqlx::Error, doing: &str) -> Error {
    if DB::is_aborted(&error) {
        let message = "an SQL statement had failed and its error was not returned: nothing was committed; \
                       return the error, or run the statement inside `tx.savepoint(…)`";
        return Error::new(ErrorKind::SwallowedError, message).with_source(error);
    }
    Error::database(doing, error)
}

/// As [`flush_failed`], for a statement on tables of the outbox.
pub(super) fn write_failed<DB: OutboxDatabase>(error: sqlx::Error, doing: &str, tables: &Tables) -> Error {
    match DB::is_aborted(&error) {
        true => flush_failed::<DB>(error, doing),
        false => Error::on_tables(doing, tables, error),
    }
}

pub(super) fn refused_commit<DB: OutboxDatabase>(xid: Option<u64>, error: sqlx::Error) -> Error {
    if DB::is_rolled_back(&error) {
        return Error::database("commit: the database rolled back", error);
    }
    let message = "COMMIT was sent, and its outcome is unknown";
    let message = match xid {
        Some(xid) => format!("{message}; ask with `outbox.outcome({xid})`"),
        None => message.to_owned(),
    };
    Error::new(ErrorKind::CommitOutcomeUnknown { xid }, message).with_source(error)
}
