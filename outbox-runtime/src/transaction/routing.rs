//! Where the events of a transaction go: into the log, directly to the broker, or into a shadow.

use std::fmt;
use std::sync::Arc;

use sqlx_core::transaction::TransactionManager;
use tracing::Instrument;

use super::OutboxTx;
use super::open::{Open, flush_failed, refused_commit};
use crate::database::OutboxDatabase;
use crate::error::{Error, ErrorKind};
use crate::event::OutboxEvent;
use crate::failpoint::{Failpoint, reach};
use crate::message::{OutboxMessage, kinds};
use crate::modes::{Direct, Held, InForce, Mode, SendLocks, ShadowTarget, TransactionModes};
use crate::outbox::{CommitFault, connection_lost};

/// Guard for an event that a service publishes itself in [`Mode::Shadow`]. No mode of the log changes while
/// it exists.
///
/// Drop it when the event is acknowledged or has failed, and before the next transaction of the same task.
/// While a switch waits for the guard, transactions that emit wait for the switch.
#[must_use = "dropped at once, it lets a switch go on before what the service publishes itself has arrived"]
pub struct OwnPublishing {
    _held: Held,
}

impl fmt::Debug for OwnPublishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnPublishing").finish_non_exhaustive()
    }
}

impl<DB: OutboxDatabase> OutboxTx<'_, DB> {
    /// The mode of an event in this transaction. It does not change until the transaction ends. [`Mode::Outbox`] if the
    /// outbox was built without [modes](crate::modes).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn mode<E: OutboxEvent>(&mut self, event: &E) -> Result<Mode, Error> {
        let open = self.open_mut();
        let Some(modes) = open.outbox.modes().cloned() else {
            return Ok(Mode::Outbox);
        };
        let in_force = hold(open, &*modes).await?;
        let mode = in_force.mode(&event.aggregate_type(), &event.topic(), &event.event_type());
        open.modes_seen = Some(in_force);
        Ok(mode)
    }

    /// Returns a guard if the service has to publish an event itself, which happens only in [`Mode::Shadow`].
    /// Keep the guard until the event is published:
    ///
    /// ```no_run
    /// # use outbox_runtime::{Error, Outbox, OutboxEvent};
    /// # #[derive(serde::Serialize, OutboxEvent)]
    /// # #[outbox(topic = "orders", aggregate = "order", key = order_id)]
    /// # struct OrderPlacedV1 { order_id: i64 }
    /// # async fn publish(order_id: i64) {}
    /// # #[cfg(feature = "postgres")]
    /// # async fn example(outbox: Outbox<sqlx::Postgres>, order_id: i64) -> Result<(), Error> {
    /// let own = outbox
    ///     .transaction(async |tx| {
    ///         let event = OrderPlacedV1 { order_id };
    ///         let own = tx.own_publishing(&event).await?;
    ///         tx.emit(event)?;
    ///         Ok::<_, Error>(own)
    ///     })
    ///     .await?;
    /// if let Some(publishing) = own {
    ///     publish(order_id).await;
    ///     drop(publishing);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn own_publishing<E: OutboxEvent>(
        &mut self,
        event: &E,
    ) -> Result<Option<OwnPublishing>, Error> {
        if self.mode(event).await? != Mode::Shadow {
            return Ok(None);
        }
        let Some(modes) = self.open().outbox.modes() else {
            return Ok(None);
        };
        let held = modes.in_flight().await.map_err(|error| {
            Error::database("announce that an event is published beside the outbox", error)
        })?;
        Ok(Some(OwnPublishing { _held: held }))
    }
}

/// Keeps the modes from changing, and makes sure that they have not since they were asked for.
async fn hold<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    modes: &dyn TransactionModes<DB>,
) -> Result<Arc<InForce>, Error> {
    let in_force = modes
        .hold(&mut open.transaction)
        .await
        .map_err(|error| flush_failed::<DB>(error, "read the modes"))?;
    // A savepoint that was rolled back let go of them.
    if open.modes_seen.as_ref().is_some_and(|seen| *seen != in_force) {
        let message = "a mode was changed after this transaction had asked for it, in a savepoint that was rolled back; \
                       nothing was committed: run the transaction again";
        return Err(Error::new(ErrorKind::ModeChanged, message));
    }
    Ok(in_force)
}

/// What becomes of a message in a transaction of the caller's, which nothing can be sent after.
pub(crate) fn in_callers_transaction(
    messages: Vec<OutboxMessage>,
    in_force: &InForce,
    shadow: &ShadowTarget,
) -> Vec<OutboxMessage> {
    let routed = messages
        .into_iter()
        .filter_map(|message| match in_force.of(&message) {
            Mode::Shadow => shadowed(message, shadow),
            Mode::Outbox | Mode::Direct => Some(message),
        });
    routed.collect()
}

fn shadowed(mut message: OutboxMessage, shadow: &ShadowTarget) -> Option<OutboxMessage> {
    match shadow {
        ShadowTarget::Suffix(suffix) => {
            message.topic.push_str(suffix);
            Some(message)
        }
        ShadowTarget::Nowhere => None,
    }
}

/// Leaves in the buffer what goes into the log, and returns what is to be sent after the commit.
async fn route<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    modes: &dyn TransactionModes<DB>,
) -> Result<Vec<OutboxMessage>, Error> {
    open.can_commit()?;
    let in_force = hold(open, modes).await?;
    let mut direct = Vec::new();
    let limits = open.outbox.limits();
    for message in std::mem::take(&mut open.buffer) {
        match in_force.of(&message) {
            Mode::Outbox => open.buffer.push(message),
            Mode::Direct => direct.push(message),
            Mode::Shadow => {
                if let Some(message) = shadowed(message, modes.shadow()) {
                    // Its topic is longer than the one that was checked.
                    limits.check(&message)?;
                    open.buffer.push(message);
                }
            }
        }
    }
    Ok(direct)
}

/// Commits, and sends what goes directly.
pub(super) async fn commit<DB: OutboxDatabase>(
    mut open: Box<Open<DB>>,
    modes: Arc<dyn TransactionModes<DB>>,
) -> Result<(), Error> {
    let direct = match route(&mut open, &*modes).await {
        Ok(direct) => direct,
        Err(error) => {
            open.rollback().await;
            return Err(error);
        }
    };
    if direct.is_empty() {
        return open.commit_rows().await;
    }
    // The session holds locks from here on that have to be given back, whether anybody waits for this or not.
    let finishing = tokio::spawn(finish(open, modes, direct).in_current_span());
    finishing.await.unwrap_or_else(|error| {
        let message = "the task that commits ended";
        Err(Error::new(ErrorKind::CommitOutcomeUnknown { xid: None }, message).with_source(error))
    })
}

async fn finish<DB: OutboxDatabase>(
    mut open: Box<Open<DB>>,
    modes: Arc<dyn TransactionModes<DB>>,
    direct: Vec<OutboxMessage>,
) -> Result<(), Error> {
    let locks = SendLocks::of(&direct);
    let committed = match lock(&mut open, &*modes, &locks).await {
        Ok(xid) => commit_keeping_locks(&mut open, xid).await,
        Err(error) => {
            // Locks of the session outlive this.
            let _ = <DB::TransactionManager as TransactionManager>::rollback(&mut open.transaction).await;
            Err(error)
        }
    };
    if let Err(error) = committed {
        unlock(&mut open, &*modes, &locks).await;
        open.rollback().await;
        return Err(error);
    }
    open.outbox.metrics().written(kinds(&open.buffer));
    open.outbox.metrics().written(kinds(&direct));
    if !open.buffer.is_empty() {
        open.outbox.waker_ref().wake();
    }
    reach(Failpoint::DirectCommitted);
    let outcome = modes.send(direct).await;
    unlock(&mut open, &*modes, &locks).await;
    record(&open, &outcome);
    // The transaction is committed; this gives the connection back.
    open.rollback().await;
    Ok(())
}

/// Inserts what goes into the log, and locks what is going to be sent. Keys' locks come last: who has them waits for no
/// statement any more.
async fn lock<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    modes: &dyn TransactionModes<DB>,
    locks: &SendLocks,
) -> Result<Option<u64>, Error> {
    let xid = open.prepare().await?;
    modes
        .lock(&mut open.transaction, locks)
        .await
        .map_err(|error| flush_failed::<DB>(error, "wait for the keys of directly sent events"))?;
    Ok(xid)
}

async fn commit_keeping_locks<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    xid: Option<u64>,
) -> Result<(), Error> {
    let fault = open.outbox.commit_faults().next();
    if fault == Some(CommitFault::Before) {
        let _ = <DB::TransactionManager as TransactionManager>::rollback(&mut open.transaction).await;
        return Err(Error::database("commit", connection_lost()));
    }
    open.counted.committing();
    let committed = <DB::TransactionManager as TransactionManager>::commit(&mut open.transaction).await;
    if let Err(error) = committed {
        if DB::is_rolled_back(&error) {
            open.counted.rolled_back();
        }
        return Err(refused_commit::<DB>(xid, error));
    }
    if fault == Some(CommitFault::After) {
        return Err(refused_commit::<DB>(xid, connection_lost()));
    }
    open.counted.committed();
    Ok(())
}

async fn unlock<DB: OutboxDatabase>(
    open: &mut Open<DB>,
    modes: &dyn TransactionModes<DB>,
    locks: &SendLocks,
) {
    match modes.unlock(&mut open.transaction, locks).await {
        Ok(true) => {}
        Ok(false) => tracing::error!(
            "the session that sent events directly did not hold its locks: a pooler gives each transaction \
             another session, so switches of modes cannot wait for events in flight; connect without the \
             pooler"
        ),
        // The session is gone, and its locks with it: a switch may not have waited for these events.
        Err(error) => tracing::warn!(%error, "the session was lost while it sent events directly"),
    }
}

/// Counts and logs what became of directly sent events.
fn record<DB: OutboxDatabase>(open: &Open<DB>, outcome: &Direct) {
    let metrics = open.outbox.metrics();
    let lost = outcome.lost.iter().map(|lost| lost.topic.as_str());
    metrics.sent_directly(outcome.delivered.iter().map(String::as_str), lost);
    for lost in &outcome.lost {
        tracing::error!(
            id = %lost.id,
            topic = lost.topic,
            error = lost.error,
            "an event that was committed in mode `direct` is lost"
        );
    }
}
