//! Which transactions the running code is already inside, so that none waits for itself.

use std::future::Future;
use std::sync::Arc;

use crate::database::OutboxDatabase;
use crate::error::{Error, ErrorKind};
use crate::outbox::Outbox;

tokio::task_local! {
    static INSIDE: Arc<Level>;
}

/// One open transaction, and those around it.
struct Level {
    pool: usize,
    outer: Option<Arc<Level>>,
}

/// Runs the body of a transaction that was begun on the pool `identity`.
pub(crate) async fn run_inside<F: Future>(identity: Option<usize>, body: F) -> F::Output {
    match identity {
        Some(pool) => {
            let outer = INSIDE.try_with(Arc::clone).ok();
            INSIDE.scope(Arc::new(Level { pool, outer }), body).await
        }
        // A joined call is inside the same transaction as its caller.
        None => body.await,
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
