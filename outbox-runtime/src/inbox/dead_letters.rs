//! Messages that consumers gave up on.

use super::{DeadLetter, Inbox};
use crate::database::OutboxDatabase;
use crate::error::Error;

impl<DB: OutboxDatabase> Inbox<DB> {
    /// Lists dead letters of a consumer, oldest failure first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn dead_letters(&self, consumer: &str, most: u32) -> Result<Vec<DeadLetter>, Error> {
        let outbox = self.outbox();
        DB::dead_letters(outbox.pool(), &outbox.statements().inbox, consumer, most)
            .await
            .map_err(|error| Error::database("read the dead letters", error))
    }

    /// Deletes a dead letter and returns it, if it exists. The message counts as processed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn discard_dead_letter(
        &self,
        consumer: &str,
        message_id: &str,
    ) -> Result<Option<DeadLetter>, Error> {
        let failed = |error| Error::database("delete a dead letter", error);
        let mut connection = self.outbox().pool().acquire().await.map_err(failed)?;
        let statements = &self.outbox().statements().inbox;
        DB::take(&mut connection, statements, consumer, message_id)
            .await
            .map_err(failed)
    }
}
