//! From a source to a settled result: begin or join, run, then commit, roll back, or try again.

use std::future::Future;

use super::nesting::{refuse_self_wait, run_inside};
use super::retry::{self, RetryableError};
use super::source::{Origin, Source};
use super::{Doom, Hold, Isolation, Open, OutboxTx, TransactionOptions};
use crate::__private::TransactionResult;
use crate::database::OutboxDatabase;
use crate::error::{Error, ErrorKind};

/// The attempts at one transactional call: one, or more if it may be retried.
#[doc(hidden)]
pub struct Attempts<'t, DB: OutboxDatabase> {
    origin: Origin<'t, DB>,
    options: TransactionOptions,
    made: u32,
}

impl<'t, DB: OutboxDatabase> Attempts<'t, DB> {
    pub fn new(source: Source<'t, DB>, options: TransactionOptions) -> Self {
        Self {
            origin: source.0,
            options,
            made: 0,
        }
    }

    /// Begins or joins. The failure is kept for [`Begun::settle`].
    pub async fn begin(&mut self) -> Begun<'_, DB> {
        self.made += 1;
        let isolation = self.options.isolation;
        // Boxed, so that the futures of callers stay small.
        let tx = match &mut self.origin {
            Origin::Begin(outbox) => match refuse_self_wait(outbox) {
                Ok(()) => Box::pin(Open::begin(outbox.clone(), isolation))
                    .await
                    .map(OutboxTx::owning),
                Err(error) => Err(error),
            },
            Origin::Join(open) => admit(open, isolation).await.map(OutboxTx::joining),
        };
        Begun {
            tx: tx.map(|tx| Guard { tx: Some(tx) }),
        }
    }

    /// One attempt with a closure for its body.
    pub(crate) async fn once<T, E, F>(&mut self, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut OutboxTx<'_, DB>) -> Result<T, E>,
        E: From<Error>,
    {
        let mut begun = self.begin().await;
        let outcome = match begun.open() {
            Some((tx, scope)) => Some(scope.run(body(tx)).await),
            None => None,
        };
        begun.settle(Judged::new(outcome)).await
    }

    /// How long to wait before another attempt, if `result` is a failure that asks for one.
    pub fn again<T, E, M>(&self, result: &Result<T, E>) -> Option<tokio::time::Sleep>
    where
        E: RetryableError<M>,
    {
        let Err(error) = result else { return None };
        let begins = matches!(self.origin, Origin::Begin(_));
        if !begins || self.made > self.options.retries || !retry::is_transient(error.as_error()) {
            return None;
        }
        let pause = retry::pause(self.made, rand::random());
        tracing::debug!(
            attempt = self.made,
            ?pause,
            "the database gave up on a transaction, trying again"
        );
        Some(tokio::time::sleep(pause))
    }
}

async fn admit<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    isolation: Option<Isolation>,
) -> Result<&mut Open<DB>, Error> {
    if let Some(wanted) = isolation {
        Box::pin(open.admit(wanted)).await?;
    }
    Ok(open)
}

/// A transaction that is open, or why it is not.
#[doc(hidden)]
pub struct Begun<'a, DB: OutboxDatabase> {
    tx: Result<Guard<'a, DB>, Error>,
}

impl<'a, DB: OutboxDatabase> Begun<'a, DB> {
    /// The transaction, unless it could not be begun.
    pub fn open(&mut self) -> Option<(&mut OutboxTx<'a, DB>, Body)> {
        let tx = self.tx.as_mut().ok()?.tx.as_mut()?;
        let body = match &tx.hold {
            Hold::Owned(open) => Body {
                pool: Some(DB::identity(open.outbox.pool())),
            },
            Hold::Joined(_) => Body { pool: None },
        };
        Some((tx, body))
    }

    /// Commits if the body returned `Ok`, rolls back if it returned `Err`; a joined call leaves both to the
    /// outer one.
    pub async fn settle<R>(self, judged: Judged<R>) -> R {
        let Judged {
            outcome,
            commits,
            from_error,
        } = judged;
        let tx = match self.tx {
            Ok(mut guard) => guard.tx.take(),
            Err(error) => return from_error(error),
        };
        let (Some(tx), Some(outcome)) = (tx, outcome) else {
            return from_error(Error::new(
                ErrorKind::RollbackOnly,
                "the transaction was settled without a run",
            ));
        };
        match tx.hold {
            Hold::Owned(open) if commits => match Box::pin(open.commit()).await {
                Ok(()) => outcome,
                Err(error) => from_error(error),
            },
            Hold::Owned(open) => {
                Box::pin(open.rollback()).await;
                outcome
            }
            Hold::Joined(_) if commits => outcome,
            Hold::Joined(open) => {
                open.doom.get_or_insert(Doom::JoinFailed);
                outcome
            }
        }
    }
}

/// What a body returned, and what that means for its transaction.
#[doc(hidden)]
pub struct Judged<R> {
    /// None if there was no transaction to run in.
    outcome: Option<R>,
    commits: bool,
    from_error: fn(Error) -> R,
}

impl<R: TransactionResult> Judged<R> {
    pub(crate) fn new(outcome: Option<R>) -> Self {
        let commits = outcome.as_ref().is_some_and(R::commits);
        Self {
            outcome,
            commits,
            from_error: R::from_error,
        }
    }
}

/// The body of a transaction, to be run where nested ones can be seen.
#[doc(hidden)]
pub struct Body {
    pool: Option<usize>,
}

impl Body {
    /// Runs it.
    pub fn run<F: Future>(self, body: F) -> impl Future<Output = F::Output> + use<F> {
        run_inside(self.pool, body)
    }
}

/// Dooms the outer transaction if a joined call does not come to its end. An owned one rolls itself back.
struct Guard<'a, DB: OutboxDatabase> {
    tx: Option<OutboxTx<'a, DB>>,
}

impl<DB: OutboxDatabase> Drop for Guard<'_, DB> {
    fn drop(&mut self) {
        if let Some(OutboxTx {
            hold: Hold::Joined(open),
        }) = &mut self.tx
        {
            open.doom.get_or_insert(Doom::JoinAbandoned);
        }
    }
}
