//! The interface to the broker, through which a relay sends records and receives their outcomes.

mod error;
#[cfg(feature = "kafka")]
mod kafka;
mod settlements;
mod transactions;

use std::collections::BTreeSet;
use std::future::Future;

pub use error::{PublishError, PublishErrorKind};
#[cfg(feature = "kafka")]
pub(crate) use kafka::partition_of;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaPublisher, KafkaPublisherBuilder};
pub use settlements::{Settlement, SettlementQueue};
pub use transactions::{BrokerCursor, Prepared, Transactions, Uncommitted};

use crate::record::{OutboxRecord, WireOptions};

/// Identifies one call of [`send`](Publisher::send). A relay never uses a ticket twice.
pub type Ticket = u64;

/// Sends records to a broker.
///
/// [`send`](Self::send) only queues a record: its [`Settlement`] reports the outcome. Each record that
/// [`send`](Self::send) accepted is settled exactly once. Records of one key and topic are stored in the
/// order in which they were sent, without gaps, as long as none of them fails.
///
/// Implementations must pass the publisher suite of [`testkit`](crate::testkit).
pub trait Publisher: Send + 'static {
    /// Sets the log's name in metrics. Called once, before all other methods.
    fn name_log(&mut self, log: &str) {
        let _ = log;
    }

    /// Connects before the first record. Called when the relay becomes active.
    ///
    /// # Errors
    /// The client could not be created. The relay retries later.
    fn start(&mut self) -> Result<(), PublishError>;

    /// Announces topics that will be [prepared](Self::prepare) soon, so that one request can query all of
    /// them. Does not wait. By default, each topic is queried separately.
    fn announce(&mut self, _topics: &BTreeSet<&str>) {}

    /// Whether the topic was announced and not prepared since. A relay then spares itself the topics of the rest of the
    /// page. By default, it announces them before each topic.
    fn is_announced(&self, _topic: &str) -> bool {
        false
    }

    /// Reads the metadata of a topic before its records are sent. It may wait until all sent records are
    /// settled. Cancel safe.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unavailable`] if the broker does not answer.
    fn prepare(&mut self, topic: &str) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Queues a record, without waiting.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unprepared`] if [`prepare`](Self::prepare) has to be called for its topic first,
    /// [`PublishErrorKind::Full`] if other records must be settled first, [`PublishErrorKind::Record`] if the
    /// record can never be sent. A refused record is not settled.
    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError>;

    /// Waits until records are settled, and appends their outcomes. Cancel safe.
    fn settled(&mut self, into: &mut Vec<Settlement>) -> impl Future<Output = ()> + Send;

    /// Withdraws records that did not leave this process yet: they are settled as
    /// [`PublishErrorKind::Withdrawn`]. Records in flight to the broker are not affected.
    fn withdraw(&mut self);

    /// Whether the broker answers another request than sending records. Called when a record was not settled
    /// for minutes: if the broker answers, the client is stuck, and is [rebuilt](Self::rebuild). Cancel safe.
    fn answers(&mut self) -> impl Future<Output = bool> + Send;

    /// The id of the cluster that receives the records; `None` as long as it is not known. Called when
    /// records were settled. Does not wait.
    fn cluster(&self) -> Option<String> {
        None
    }

    /// A client of the same broker that sends in transactions, for exactly-once delivery; `None` if the
    /// broker does not support them.
    fn transactions(&self) -> Option<Box<dyn Transactions>> {
        None
    }

    /// Abandons all records in flight and restarts the client, after a [`PublishErrorKind::Fatal`]. All
    /// unsettled records are settled as withdrawn, although the broker may have stored some of them.
    fn rebuild(&mut self) -> impl Future<Output = Result<(), PublishError>> + Send;
}
