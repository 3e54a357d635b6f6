//! The inbox records which messages a consumer has processed, which makes handling idempotent.
//!
//! `process` runs a handler once for a message. The inbox row, the handler's writes and its events are one
//! transaction. A concurrent delivery waits for the outcome of the first, and runs the handler only if the
//! first rolled back. `prune` deletes old rows, and `dead_letters` lists and discards messages that consumers
//! could not process.

mod dead_letters;
mod process;
mod prune;

use crate::database::OutboxDatabase;
use crate::outbox::Outbox;

pub use crate::received::dead_letter::{DeadLetter, DeadLetterReason};
pub use crate::received::identity::Identified;
pub use crate::received::message::InboxMessage;
pub use crate::received::processed::{Processed, Repeatable};
pub use prune::{InboxPruner, InboxPrunerConfig, InvalidPruner, PruneReport, RunningPruner};

/// The inbox of one database, which records the messages that its consumers have processed.
///
/// The record is written in the same database and the same transaction as the handler's own writes. Messages
/// that Kafka delivers more than once are therefore processed once.
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
    /// The inbox in the same database and with the same table names as `outbox`.
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
