//! Which transactions the running code is already inside, so that none waits for itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tracing::Span;

use crate::database::OutboxDatabase;
use crate::error::{Error, ErrorKind};
use crate::event::EventContext;
use crate::outbox::Outbox;

tokio::task_local! {
    static INSIDE: Arc<Level>;
}

/// One open transaction, and those around it.
struct Level {
    pool: usize,
    outer: Option<Arc<Level>>,
}

/// The body of a transaction while it runs: inside of that transaction, and in its context.
#[doc(hidden)]
pub struct Running<B: ?Sized> {
    /// None once it has ended.
    body: Option<Pin<Box<B>>>,
    place: Place,
}

/// The compiler would find this by itself, through the `Option`, the `Pin` and two types inside of the `Box`. It
/// follows 128 types, and functions that call each other twenty levels deep need five for each level then.
// SAFETY: `Place` is `Send`, as the assertion below shows, and `Option<Pin<Box<B>>>` is where `B` is.
#[allow(unsafe_code)]
unsafe impl<B: ?Sized + Send> Send for Running<B> {}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Place>();
};

/// Where a body runs.
struct Place {
    /// None for a joined call, which is inside the same transaction as its caller.
    level: Option<Arc<Level>>,
    span: Span,
    /// None for a call that runs in its caller's context.
    context: Option<Arc<EventContext>>,
}

impl<B: ?Sized + Future> Running<B> {
    /// The body of a transaction that was begun on the pool `identity`.
    pub(super) fn new(
        identity: Option<usize>,
        span: Span,
        context: Option<EventContext>,
        body: Pin<Box<B>>,
    ) -> Self {
        let place = Place::new(identity, span, context);
        Self {
            body: Some(body),
            place,
        }
    }
}

impl Place {
    fn new(identity: Option<usize>, span: Span, context: Option<EventContext>) -> Self {
        let level = identity.map(|pool| {
            let outer = INSIDE.try_with(Arc::clone).ok();
            Arc::new(Level { pool, outer })
        });
        let context = context.map(Arc::new);
        Self { level, span, context }
    }

    /// Calls `run` there. It is no type parameter, so that this is compiled once.
    fn inside(&self, run: &mut dyn FnMut()) {
        let _entered = self.span.enter();
        let mut run = || EventContext::enter(self.context.clone(), run);
        match &self.level {
            Some(level) => INSIDE.sync_scope(Arc::clone(level), run),
            None => run(),
        }
    }
}

impl<B: ?Sized + Future> Future for Running<B> {
    type Output = B::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { body, place } = self.get_mut();
        let mut answer = Poll::Pending;
        place.inside(&mut || {
            let Some(running) = body else { return };
            answer = running.as_mut().poll(task);
            if answer.is_ready() {
                *body = None;
            }
        });
        answer
    }
}

impl<B: ?Sized> Drop for Running<B> {
    fn drop(&mut self) {
        if self.body.is_some() {
            self.place.inside(&mut || self.body = None);
        }
    }
}

/// Refuses a new transaction if the code that asks for it holds what that would wait for.
pub(super) fn refuse_self_wait<DB: OutboxDatabase>(outbox: &Outbox<DB>) -> Result<(), Error> {
    let pool = outbox.pool();
    let most = DB::transactions_at_once(pool);
    if held(DB::identity(pool)) < most {
        return Ok(());
    }
    let message = format!(
        "a new transaction inside another one would wait for itself: this {} outbox has {most} at a time, \
         and the code around the call holds {}; pass `&mut *tx` to join the transaction instead",
        DB::NAME,
        if most == 1 { "it" } else { "them all" },
    );
    Err(Error::new(ErrorKind::NestedTransaction, message))
}

/// How many transactions of a pool the running code is inside.
fn held(pool: usize) -> usize {
    let count = |innermost: &Arc<Level>| {
        std::iter::successors(Some(innermost), |level| level.outer.as_ref())
            .filter(|level| level.pool == pool)
            .count()
    };
    INSIDE.try_with(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_transactions_around_the_running_code_count() {
        assert_eq!(held(1), 0);
        async fn run_inside(identity: Option<usize>, body: impl Future<Output = ()>) {
            Running::new(identity, Span::none(), None, Box::pin(body)).await;
        }
        run_inside(Some(1), async {
            run_inside(
                Some(2),
                run_inside(None, async { assert_eq!((held(1), held(2)), (1, 1)) }),
            )
            .await;
            run_inside(Some(1), async { assert_eq!(held(1), 2) }).await;
            assert_eq!((held(1), held(2)), (1, 0));
            tokio::spawn(async { assert_eq!(held(1), 0) }).await.unwrap();
        })
        .await;
    }
}
