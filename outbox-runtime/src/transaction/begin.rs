//! BEGIN, in a way that can be dropped half-way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{SqlSafeStr, Transaction};

use crate::database::OutboxDatabase;

/// Begins a transaction on `connection`.
///
/// sqlx counts a transaction on PostgreSQL only when its BEGIN was answered. Dropped before that, the
/// connection would go back to the pool inside a transaction that nobody ends, and what its next user writes
/// without one of his own would be lost. So a BEGIN that is no longer waited for is finished in the
/// background, and rolled back there.
pub(super) fn begin<DB: OutboxDatabase>(
    connection: PoolConnection<DB>,
    statement: &'static str,
) -> Begin<DB> {
    Begin {
        begun: Some(Transaction::begin(connection, Some(statement.into_sql_str()))),
    }
}

pub(super) struct Begin<DB: OutboxDatabase> {
    /// None when it has ended.
    begun: Option<BoxFuture<'static, Result<Transaction<'static, DB>, sqlx::Error>>>,
}

impl<DB: OutboxDatabase> Future for Begin<DB> {
    type Output = Result<Transaction<'static, DB>, sqlx::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(begun) = &mut self.begun else {
            return Poll::Pending;
        };
        let answer = begun.as_mut().poll(context);
        if answer.is_ready() {
            self.begun = None;
        }
        answer
    }
}

impl<DB: OutboxDatabase> Drop for Begin<DB> {
    fn drop(&mut self) {
        let Some(begun) = self.begun.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(begun.await) });
        }
    }
}
