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
/// Handing a record over is not delivering it: only its [`Settlement`] says what became of it, and each record
/// that [`send`](Self::send) took is settled exactly once. Records of one key and topic reach the log in the
/// order in which they were handed over, without a hole, as long as none of them fails.
///
/// Implementations promise what [`testkit`](crate::testkit)'s publisher suite checks; run it on yours.
pub trait Publisher: Send + 'static {
    /// Called once, before everything else: the name that metrics have for the log whose records are sent.
    fn name_log(&mut self, log: &str) {
        let _ = log;
    }

    /// Called when the relay becomes the active one, to connect ahead of the first record.
    ///
    /// # Errors
    /// The client could not be made; it is tried again later.
    fn start(&mut self) -> Result<(), PublishError>;

    /// Names topics that are to be [prepared](Self::prepare) soon, so that the broker can be asked for all of them at
    /// once. Does not wait. By default, each topic is asked for by itself.
    fn announce(&mut self, _topics: &BTreeSet<&str>) {}

    /// Learns what has to be known of a topic before its records can be handed over. It may have to wait until
    /// everything handed over is settled. Cancel safe.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unavailable`] if the broker cannot be asked.
    fn prepare(&mut self, topic: &str) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Hands a record over, without waiting.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unprepared`] if [`prepare`](Self::prepare) has to be called for its topic first,
    /// [`PublishErrorKind::Full`] if it has to wait until others are settled, [`PublishErrorKind::Record`] if the
    /// record can never be sent. A record that was refused is not settled.
    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError>;

    /// Waits until records are settled, and appends what became of them. Cancel safe.
    fn settled(&mut self, into: &mut Vec<Settlement>) -> impl Future<Output = ()> + Send;

    /// Takes back what did not leave this process yet: it is settled as [`PublishErrorKind::Withdrawn`].
    /// Records on their way to the broker are not touched.
    fn withdraw(&mut self);

    /// Whether the broker answers, asked in another way than by sending records. Asked when a record was
    /// not settled for minutes: a client that is not answered then is stuck, and is [rebuilt](Self::rebuild). Cancel safe.
    fn answers(&mut self) -> impl Future<Output = bool> + Send;

    /// Which cluster of brokers takes the records, by its own name for itself; `None` as long as that is not known.
    /// Asked when something was settled. Does not wait.
    fn cluster(&self) -> Option<String> {
        None
    }

    /// A client of the same broker that sends in transactions, which exactly-once delivery rests on; `None` if this
    /// broker has none.
    fn transactions(&self) -> Option<Box<dyn Transactions>> {
        None
    }

    /// Gives up what is on its way and starts anew, after a [`PublishErrorKind::Fatal`]. Everything that was
    /// unsettled is settled as withdrawn, though some of it may have reached the log.
    fn rebuild(&mut self) -> impl Future<Output = Result<(), PublishError>> + Send;
}
