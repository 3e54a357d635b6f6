//! Finds the current state of messages: waiting and dead-lettered ones in the database, partitions and
//! offsets in Kafka.

mod database;
#[cfg(feature = "kafka")]
mod kafka;

pub use database::InspectDatabase;
#[cfg(feature = "kafka")]
pub use kafka::{RecordSearch, RecordSearchError};

use crate::Outbox;
use crate::store::StoreError;
pub use crate::store::{
    Inspect, InspectedMessage, Inspection, LogSearch, MessageState, OpenWriter, RecordLookup, TimelineEntry,
    WaitsFor,
};

impl<DB: InspectDatabase> Outbox<DB> {
    /// Searches the log and the dead letters for messages, and returns the state of each. Changes nothing.
    ///
    /// ```no_run
    /// # async fn example(outbox: outbox_runtime::Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error>> {
    /// use outbox_runtime::inspect::Inspect;
    ///
    /// for message in outbox.inspect(&Inspect::key("order-7").topic("orders")).await?.messages {
    ///     println!("{}: {:?}", message.id, message.state);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// In PostgreSQL, it reads the log in one transaction, on a separate connection with the options of the
    /// pool. The connection's role needs the rights of [`Role::Reader`](crate::schema::Role::Reader).
    /// Searching a million messages takes seconds. Cancel safe.
    ///
    /// # Errors
    /// The database cannot be read, or its cursor is not valid: the log was moved, or the cursor's row is
    /// lost.
    pub async fn inspect(&self, wanted: &Inspect) -> Result<Inspection, StoreError> {
        DB::inspect(self.pool(), self.tables(), wanted).await
    }
}
