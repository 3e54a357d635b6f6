//! From a source to a settled result: begin or join, run, then commit, roll back, or try again.

use std::future::Future;
use std::pin::Pin;

use futures_util::FutureExt;
use tracing::Span;

use super::nesting::{Running, refuse_self_wait};
use super::open::write_failed;
use super::retry::{self, Seen};
use super::source::{Origin, Source};
use super::{
    Handle, Open, OutboxTx, RollbackReason, TransactionError, TransactionOptions, TransactionResult,
};
use crate::database::{Isolation, OutboxDatabase};
use crate::error::{Error, ErrorKind};
use crate::event::EventContext;
#[cfg(feature = "kafka")]
use crate::outbox::Outbox;
use crate::received::identity::Incoming;
use crate::received::processed::Repeatable;

/// The attempts at one transactional call: one, or more if it may be retried.
#[doc(hidden)]
pub struct Attempts<'t, DB: OutboxDatabase> {
    origin: Origin<'t, DB>,
    options: TransactionOptions,
    made: u32,
    noted: Noted,
}

/// What is known of a failed attempt, whatever its function makes of the error.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    /// It was this library that failed, and whether another attempt can cure that.
    ours: Option<bool>,
    /// The database had aborted the transaction before its function returned an error.
    aborted: bool,
}

impl Noted {
    fn failure(&mut self, error: &Error) {
        self.ours = Some(retry::is_transient(error));
    }
}

impl<'t, DB: OutboxDatabase> Attempts<'t, DB> {
    pub fn new(source: Source<'t, DB>, options: TransactionOptions) -> Self {
        Self {
            origin: source.0,
            options,
            made: 0,
            noted: Noted::default(),
        }
    }

    /// Begins or joins. The failure is kept for [`Begun::settle`].
    pub async fn begin(&mut self) -> Begun<'_, DB> {
        self.made += 1;
        self.noted = Noted::default();
        let isolation = self.options.isolation;
        // Boxed, so that the futures of callers stay small, and without a type, so that the compiler need not look
        // inside for each of them.
        let tx = match &mut self.origin {
            Origin::Begin(outbox) => match refuse_self_wait(outbox) {
                Ok(()) => Open::begin(outbox.clone(), isolation, self.made)
                    .boxed()
                    .await
                    .map(OutboxTx::owning),
                Err(error) => Err(error),
            },
            Origin::Join(open) => admit(open, isolation).await.map(OutboxTx::joining),
        };
        Begun {
            tx: tx.map(|tx| Guard { tx: Some(tx) }),
            message: None,
            noted: (self.options.retries > 0).then_some(&mut self.noted),
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
            Some((tx, scope)) => Some(scope.run(Box::pin(body(tx))).await),
            None => None,
        };
        begun.settle(Judged::new(outcome)).await
    }

    /// How long to wait before another attempt, if this failure asks for one.
    pub fn again(&self, failure: &Seen<'_>) -> Option<tokio::time::Sleep> {
        let Origin::Begin(outbox) = &self.origin else {
            return None;
        };
        if self.made > self.options.retries {
            return None;
        }
        let Noted { ours, aborted } = self.noted;
        if !ours.unwrap_or_else(|| retry::is_cured_by_another(failure, aborted)) {
            return None;
        }
        outbox.metrics().retried();
        let pause = retry::pause(self.made, rand::random());
        tracing::debug!(
            attempt = self.made,
            ?pause,
            "the transaction failed because of concurrent ones; retrying"
        );
        Some(tokio::time::sleep(pause))
    }
}

async fn admit<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    isolation: Option<Isolation>,
) -> Result<&mut Open<DB>, Error> {
    if let Some(wanted) = isolation {
        open.admit(wanted).boxed().await?;
    }
    Ok(open)
}

/// A transaction that is open, or why it is not.
#[doc(hidden)]
pub struct Begun<'a, DB: OutboxDatabase> {
    tx: Result<Guard<'a, DB>, Error>,
    message: Option<Received>,
    /// There if the attempt may be followed by another.
    noted: Option<&'a mut Noted>,
}

/// A message that the transaction was begun for.
struct Received {
    /// It had been processed before.
    again: bool,
    consumer: String,
    context: Option<EventContext>,
    /// The outer transaction's context, for when a joined call has ended.
    outer: Option<EventContext>,
}

#[cfg(feature = "kafka")]
impl<DB: OutboxDatabase> Begun<'static, DB> {
    /// A new transaction with the database's default isolation.
    pub(crate) async fn on(outbox: &Outbox<DB>) -> Self {
        let open = Box::pin(Open::begin(outbox.clone(), None, 1)).await;
        Self {
            tx: open.map(|open| Guard {
                tx: Some(OutboxTx::owning(open)),
            }),
            message: None,
            noted: None,
        }
    }
}

impl<'a, DB: OutboxDatabase> Begun<'a, DB> {
    /// Writes down that `consumer` processes `message` in this transaction; if it has before, there is nothing
    /// to [`open`](Self::open). The failure is kept for [`settle`](Self::settle).
    pub async fn receive(&mut self, consumer: &str, message: Incoming<'_>) {
        let Ok(Guard { tx: Some(tx) }) = &mut self.tx else {
            return;
        };
        match claim(tx.open_mut(), consumer, &message).boxed().await {
            Ok(first) => {
                let context = message.context.map(EventContext::continued);
                let outer = tx.open().context.clone();
                if first && context.is_some() {
                    tx.open_mut().context = context.clone();
                }
                self.message = Some(Received {
                    again: !first,
                    consumer: consumer.to_owned(),
                    context,
                    outer,
                });
            }
            Err(error) => self.refuse(error).await,
        }
    }

    /// As [`receive`](Self::receive), but to process the message again if it was before.
    #[cfg(feature = "kafka")]
    pub(crate) async fn receive_again(&mut self, consumer: &str, message: Incoming<'_>) {
        self.receive(consumer, message).await;
        if let (Some(received), Ok(Guard { tx: Some(tx) })) = (&mut self.message, &mut self.tx) {
            received.again = false;
            tx.open_mut().context = received.context.clone();
        }
    }

    /// Ends the transaction with this failure.
    async fn refuse(&mut self, error: Error) {
        let refused = std::mem::replace(&mut self.tx, Err(error));
        match refused.map(|mut guard| guard.tx.take()) {
            Ok(Some(OutboxTx {
                handle: Handle::Owned(open),
            })) => open.rollback().boxed().await,
            Ok(Some(OutboxTx {
                handle: Handle::Joined(open),
            })) => {
                open.rollback_reason.get_or_insert(RollbackReason::JoinFailed);
            }
            Ok(None) | Err(_) => {}
        }
    }

    /// The transaction, unless it could not be begun or there is nothing to do in it.
    pub fn open(&mut self) -> Option<(&mut OutboxTx<'a, DB>, Body)> {
        if self.message.as_ref().is_some_and(|message| message.again) {
            return None;
        }
        let context = self.message.as_ref().and_then(|message| message.context.clone());
        let tx = self.tx.as_mut().ok()?.tx.as_mut()?;
        let (pool, span) = match &tx.handle {
            Handle::Owned(open) => (Some(DB::identity(open.outbox.pool())), open.span().clone()),
            Handle::Joined(_) => (None, Span::none()),
        };
        Some((tx, Body { pool, span, context }))
    }

    /// Commits if the body returned `Ok`, rolls back if it returned `Err`; a joined call leaves both to the
    /// outer one.
    pub async fn settle<R>(self, judged: Judged<R>) -> R {
        let Judged {
            outcome,
            commits,
            from_error,
            repeated,
        } = judged;
        // All that asks nothing of `R` is compiled once, and not for each function.
        match self.end(commits).boxed().await {
            Ok(()) => match outcome.or_else(|| repeated.map(|repeated| repeated())) {
                Some(outcome) => outcome,
                None => from_error(settled_without_a_run()),
            },
            Err(error) => from_error(error),
        }
    }

    /// Ends the transaction, and notes why it failed where another attempt may follow.
    async fn end(mut self, commits: bool) -> Result<(), Error> {
        let mut noted = self.noted.take();
        let ended = self.end_noting(commits, noted.as_deref_mut()).await;
        if let (Err(error), Some(noted)) = (&ended, noted) {
            noted.failure(error);
        }
        ended
    }

    async fn end_noting(self, commits: bool, noted: Option<&mut Noted>) -> Result<(), Error> {
        let mut tx = self.tx?.tx.take().ok_or_else(settled_without_a_run)?;
        if let Some(message) = self.message {
            tx.open_mut().context = message.outer;
            let metrics = tx.open().outbox.metrics();
            if commits || message.again {
                metrics.inbox(&message.consumer, message.again);
            }
            // Nothing was written, and what it goes by is committed: there is nothing to commit here.
            if message.again {
                if let Handle::Owned(open) = tx.handle {
                    open.rollback().await;
                }
                return Ok(());
            }
        }
        match tx.handle {
            Handle::Owned(open) if commits => open.commit().await,
            Handle::Owned(mut open) => {
                if let Some(noted) = noted {
                    noted.aborted = open.is_aborted().await;
                }
                open.rollback().await;
                Ok(())
            }
            Handle::Joined(_) if commits => Ok(()),
            Handle::Joined(open) => {
                open.rollback_reason.get_or_insert(RollbackReason::JoinFailed);
                Ok(())
            }
        }
    }
}

fn settled_without_a_run() -> Error {
    Error::new(
        ErrorKind::RollbackOnly,
        "the transaction was settled without a run",
    )
}

/// What a body returned, and what that means for its transaction.
#[doc(hidden)]
pub struct Judged<R> {
    /// None if there was no transaction to run in.
    outcome: Option<R>,
    commits: bool,
    from_error: fn(Error) -> R,
    /// The result for a message that had been processed before.
    repeated: Option<fn() -> R>,
}

impl<R: TransactionResult> Judged<R> {
    pub(crate) fn new(outcome: Option<R>) -> Self {
        let commits = outcome.as_ref().is_some_and(R::commits);
        Self {
            outcome,
            commits,
            from_error: R::from_error,
            repeated: None,
        }
    }
}

impl<T: Repeatable, E: TransactionError> Judged<Result<T, E>> {
    pub(crate) fn of_message(outcome: Option<Result<T, E>>) -> Self {
        Self {
            repeated: Some(|| Ok(T::repeated())),
            ..Self::new(outcome)
        }
    }
}

/// The body of a transaction, to be run where nested ones can be seen.
#[doc(hidden)]
pub struct Body {
    pool: Option<usize>,
    /// None for a joined call, which runs in its caller's.
    span: Span,
    context: Option<EventContext>,
}

impl Body {
    /// Runs it. Whoever holds the running body holds a pointer: were it part of its caller's future, each
    /// joined call would multiply that, and no compiler would follow twenty of them.
    pub fn run<B: ?Sized + Future>(self, body: Pin<Box<B>>) -> Running<B> {
        Running::new(self.pool, self.span, self.context, body)
    }
}

async fn claim<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    consumer: &str,
    message: &Incoming<'_>,
) -> Result<bool, Error> {
    message.check(consumer)?;
    open.still_there().await?;
    let statements = &open.outbox.statements().inbox;
    DB::claim(&mut open.transaction, statements, consumer, &message.id)
        .await
        .map_err(|error| write_failed::<DB>(error, "write into the inbox", open.outbox.tables()))
}

/// Makes the outer transaction roll back if a joined call does not come to its end. An owned one rolls itself back.
struct Guard<'a, DB: OutboxDatabase> {
    tx: Option<OutboxTx<'a, DB>>,
}

impl<DB: OutboxDatabase> Drop for Guard<'_, DB> {
    fn drop(&mut self) {
        if let Some(OutboxTx {
            handle: Handle::Joined(open),
        }) = &mut self.tx
        {
            open.rollback_reason.get_or_insert(RollbackReason::JoinAbandoned);
        }
    }
}
