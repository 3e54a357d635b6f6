//! The dead letters of a consumer: list, replay and discard them.

use std::sync::Arc;

use super::failure::Verdict;
use super::handling::Handling;
use crate::database::OutboxDatabase;
use crate::error::{Error, ErrorKind};
use crate::inbox::{DeadLetter, Inbox};

/// The dead letters of a consumer, with its handlers.
///
/// ```no_run
/// # async fn example(consumer: outbox_runtime::Consumer<sqlx::Postgres>) -> Result<(), outbox_runtime::Error> {
/// use outbox_runtime::consumer::Replayed;
///
/// let dead_letters = consumer.dead_letters();
/// for dead_letter in dead_letters.list(100).await? {
///     println!("{} {}: {}", dead_letter.message_id, dead_letter.reason.as_str(), dead_letter.error);
///     if let Replayed::Failed(error) = dead_letters.replay(&dead_letter.message_id).await? {
///         println!("still not: {error}");
///     }
/// }
/// # Ok(()) }
/// ```
pub struct DeadLetters<DB: OutboxDatabase> {
    handling: Arc<Handling<DB>>,
}

/// Result of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The handler succeeded, and the dead letter was deleted.
    Processed,
    /// The handler failed again with this reason. The dead letter remains.
    Failed(String),
    /// The dead letter does not exist.
    Absent,
}

impl<DB: OutboxDatabase> DeadLetters<DB> {
    pub(super) fn new(handling: Arc<Handling<DB>>) -> Self {
        Self { handling }
    }

    /// Lists dead letters, oldest failure first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, most: u32) -> Result<Vec<DeadLetter>, Error> {
        Inbox::new(&self.handling.outbox)
            .dead_letters(&self.handling.consumer, most)
            .await
    }

    /// Runs the handler for a dead letter once and deletes the dead letter in the same transaction. The order
    /// of the key is not kept: later messages of the key may have been processed before.
    ///
    /// # Errors
    /// The database or a dependency of the handler is unavailable. The dead letter is unchanged.
    pub async fn replay(&self, message_id: &str) -> Result<Replayed, Error> {
        let failure = match self.handling.replay(message_id).await {
            Ok(true) => return Ok(Replayed::Processed),
            Ok(false) => return Ok(Replayed::Absent),
            Err(failure) => failure,
        };
        if failure.verdict == Verdict::Outage {
            return Err(Error::new(ErrorKind::Database, failure.text));
        }
        let outbox = &self.handling.outbox;
        DB::fail_again(
            outbox.pool(),
            &outbox.statements().inbox,
            &self.handling.consumer,
            message_id,
            &failure.text,
        )
        .await
        .map_err(|error| Error::database("note that a dead letter failed again", error))?;
        Ok(Replayed::Failed(failure.text))
    }

    /// Deletes a dead letter and returns it, if it exists. The message counts as processed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn discard(&self, message_id: &str) -> Result<Option<DeadLetter>, Error> {
        Inbox::new(&self.handling.outbox)
            .discard_dead_letter(&self.handling.consumer, message_id)
            .await
    }
}

impl<DB: OutboxDatabase> Clone for DeadLetters<DB> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.handling))
    }
}

impl<DB: OutboxDatabase> std::fmt::Debug for DeadLetters<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters")
            .field("consumer", &self.handling.consumer)
            .finish_non_exhaustive()
    }
}
