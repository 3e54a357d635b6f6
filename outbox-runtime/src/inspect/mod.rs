//! Where is this message now? The database tells what waits, and what was set aside; Kafka tells partition and offset.

mod database;
#[cfg(feature = "kafka")]
mod kafka;

pub use database::InspectDatabase;
#[cfg(feature = "kafka")]
pub use kafka::{RecordSearch, RecordSearchError};

use crate::Outbox;
use crate::store::StoreError;
pub use crate::store::{
    Inspect, InspectedMessage, Inspection, LogSearch, MessageState, Moment, OpenWriter, RecordLookup,
    WaitsFor,
};

impl<DB: InspectDatabase> Outbox<DB> {
    /// Looks for messages in the log and in the dead letters, and says where each of them is. Reads only.
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
    /// In PostgreSQL, the log is read on a connection of its own, with the options of the pool, in one transaction; the
    /// connection's role needs the rights of [`Role::Reader`](crate::schema::Role::Reader). Looking through a million
    /// messages takes seconds. Cancel safe.
    ///
    /// # Errors
    /// The database cannot be read, or its cursor does not tell what was delivered: it was moved, or has lost its row.
    pub async fn inspect(&self, wanted: &Inspect) -> Result<Inspection, StoreError> {
        DB::inspect(self.pool(), self.tables(), wanted).await
    }
}
