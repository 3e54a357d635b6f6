//! The inbox: what a consumer has acted on, so that a message that comes twice acts once.
//!
//! `message` is what comes in, `identity` says which message it is, `process` runs a handler once for it. The
//! row, what the handler writes and what it emits are one transaction: whoever comes second waits for the outcome
//! of the first, and acts only if that was rolled back. `prune` forgets rows that nothing can come back for.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod backend;
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "without a database there are none")
)]
mod dead_letter;
mod identity;
mod message;
mod process;
mod processed;
mod prune;
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "without a database nobody runs them")
)]
mod statements;

use crate::database::OutboxDatabase;
use crate::outbox::Outbox;

pub use dead_letter::{DeadLetter, DeadLetterReason};
pub use identity::Identified;
pub use message::InboxMessage;
pub use processed::{Processed, Repeatable};
pub use prune::{InboxPruner, InboxPrunerConfig, InvalidPruner, PruneReport, RunningPruner};

pub(crate) use identity::Incoming;
pub(crate) use processed::repeated;
pub(crate) use statements::{InboxBackend, InboxStatements};

#[cfg(feature = "kafka")]
pub(crate) use dead_letter::FailedMessage;

/// The inbox of one database: which messages its consumers have acted on.
///
/// It lies in the database that handlers write to, beside the outbox, and in the same transaction as what they
/// write. That makes one effect of deliveries that Kafka makes at least once.
///
/// ```no_run
/// use outbox_runtime::{Inbox, InboxMessage, Outbox};
/// # type Error = Box<dyn std::error::Error + Send + Sync>;
/// # async fn example(outbox: Outbox<sqlx::Sqlite>, message: InboxMessage) -> Result<(), Error> {
/// let inbox = Inbox::new(&outbox);
/// let processed = outbox
///     .transaction(async |tx| {
///         inbox
///             .process(&mut *tx, "spellcheck", &message, async |tx| {
///                 let checked = sqlx::query("UPDATE essays SET checked = true").execute(&mut **tx).await?;
///                 Ok::<_, Error>(checked.rows_affected())
///             })
///             .await
///     })
///     .await?;
/// if processed.is_duplicate() {
///     println!("it had been checked before");
/// }
/// # Ok(()) }
/// ```
pub struct Inbox<DB: OutboxDatabase> {
    outbox: Outbox<DB>,
}

impl<DB: OutboxDatabase> Inbox<DB> {
    /// The inbox beside this outbox, in the same database and under the same names.
    pub fn new(outbox: &Outbox<DB>) -> Self {
        Self {
            outbox: outbox.clone(),
        }
    }

    pub(crate) fn outbox(&self) -> &Outbox<DB> {
        &self.outbox
    }
}

impl<DB: OutboxDatabase> Clone for Inbox<DB> {
    fn clone(&self) -> Self {
        Self::new(&self.outbox)
    }
}

impl<DB: OutboxDatabase> std::fmt::Debug for Inbox<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Inbox").field(&self.outbox).finish()
    }
}
