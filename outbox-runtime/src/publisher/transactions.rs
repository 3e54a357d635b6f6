//! The interface for exactly-once delivery: records and the cursor in one transaction of the broker.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PublishError, Settlement, Ticket};
use crate::record::{OutboxRecord, WireOptions};
use crate::store::RowId;

/// A position in the log that the broker stores in the transaction of the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerCursor {
    /// The generation of the window; see [`Generations`](crate::store::Generations).
    pub generation: i64,
    /// All records of the window up to this seq are settled.
    pub position: i64,
    /// Rows of the dead letters that were sent in the cursor's own transaction. They may still be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_out: Vec<RowId>,
}

/// Whether a topic's records can be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// The records can be sent.
    Ready,
    /// The records can be sent after another call of [`open`](Transactions::open).
    OpenAgain,
}

/// Why a transaction was not committed.
#[derive(Debug)]
pub enum Uncommitted {
    /// The broker refused these records. The transaction has to be aborted.
    Records(Vec<Settlement>),
    /// The outcome is unknown, or the client is broken: [`open`](Transactions::open) it again.
    Broken(PublishError),
}

/// Sends records in transactions. A `read_committed` consumer sees all records of a transaction or none.
///
/// There is one transaction at a time: [`begin`](Self::begin), [`send`](Self::send) for each record, and
/// [`commit`](Self::commit) or [`abort`](Self::abort). A dropped future leaves the client in an unknown
/// state. [`open`](Self::open) resets it, as after every error.
pub trait Transactions: Send + 'static {
    /// Becomes the only client that may commit for this log. An earlier client is fenced, and its open
    /// transaction is aborted. Returns the cursor of the last committed transaction. With `create`, the
    /// cursor topic is created if the log never had a cursor.
    ///
    /// # Errors
    /// The broker is unavailable, or refuses this client.
    fn open(
        &mut self,
        log_id: Uuid,
        create: bool,
    ) -> BoxFuture<'_, Result<Option<BrokerCursor>, PublishError>>;

    /// The id of the cluster, if it is known.
    fn cluster(&self) -> Option<String>;

    /// As [`Publisher::announce`](super::Publisher::announce).
    fn announce(&mut self, _topics: &BTreeSet<&str>) {}

    /// As [`Publisher::is_announced`](super::Publisher::is_announced).
    fn is_announced(&self, _topic: &str) -> bool {
        false
    }

    /// Reads the metadata of a topic before its records are sent.
    ///
    /// # Errors
    /// As [`Publisher::prepare`](super::Publisher::prepare).
    fn prepare<'a>(&'a mut self, topic: &'a str) -> BoxFuture<'a, Result<Prepared, PublishError>>;

    /// Begins a transaction. Does not wait.
    ///
    /// # Errors
    /// The client has to be [opened](Self::open) again.
    fn begin(&mut self) -> Result<(), PublishError>;

    /// Queues a record, without waiting.
    ///
    /// # Errors
    /// As [`Publisher::send`](super::Publisher::send). A refused record is not part of the transaction, which
    /// continues.
    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError>;

    /// Commits the transaction, and with it the cursor, once all its records are settled.
    fn commit<'a>(&'a mut self, cursor: &'a BrokerCursor) -> BoxFuture<'a, Result<(), Uncommitted>>;

    /// Aborts the transaction.
    ///
    /// # Errors
    /// The client has to be [opened](Self::open) again.
    fn abort(&mut self) -> BoxFuture<'_, Result<(), PublishError>>;

    /// Disconnects from the broker. An open transaction is aborted after its timeout, or by the next client
    /// that opens.
    fn close(&mut self) -> BoxFuture<'_, ()>;
}
