//! Logs that were moved or copied: what an operator asks for, and what came of it.

use uuid::Uuid;

/// Treatment of the log's messages if no cursor records what was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutCursor {
    /// All messages in the log are sent, whether or not they were sent before.
    SendAll,
    /// No message in the log is sent, whether or not it was sent before.
    SkipAll,
}

/// Options to continue a log that was moved: a restored dump, an upgraded cluster. Delivered messages are not sent
/// again, and undelivered messages are not skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopt {
    /// Ignores the cursor: for a log that has lost its cursor row, or that is to be sent again.
    pub without_cursor: Option<WithoutCursor>,
    /// Uses only the database's cursor if exactly-once delivery was active: messages that only Kafka's cursor knows as
    /// delivered are sent twice. For a relay that stopped because the two cursors contradict each other.
    pub without_kafka_cursor: bool,
    /// Counts without changing anything.
    pub dry_run: bool,
}

/// Options to separate a copied log, such as a staging system's, from its original. All messages in the copy count as
/// delivered: the original sends the copied ones, and messages that were written to the copy before the fork cannot be
/// distinguished from those.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fork {
    /// Sends the messages that the original had not delivered when the copy was made, those written to the
    /// copy since then, and parked ones.
    pub send_backlog: bool,
    /// States that the server's files were copied, which the database cannot detect.
    pub physical_copy: bool,
    /// Counts without changing anything.
    pub dry_run: bool,
}

/// Result of an adoption or a fork, or of its dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocated {
    /// Whether a change was needed. If not, nothing was changed or counted.
    pub needed: bool,
    /// The new id of the log; in a dry run of a fork, the current one.
    pub log_id: Uuid,
    /// Messages that will be sent. Messages of open or later transactions are not counted.
    pub to_send: u64,
    /// Messages that count as delivered.
    pub delivered: u64,
    /// Those of them that are undelivered according to the cursor but are not sent.
    pub skipped: u64,
    /// Parked dead letters. A fork that sends no backlog makes them dead, with the reason `fork`.
    pub parked: u64,
}
