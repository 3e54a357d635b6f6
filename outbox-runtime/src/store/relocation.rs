//! Logs that were moved or copied: what an operator asks for, and what came of it.

use uuid::Uuid;

/// What to do with the log's messages if no cursor says what was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutCursor {
    /// Everything that is in the log is sent, whether it was sent before or not.
    SendAll,
    /// Nothing that is in the log is sent, whether it was sent before or not.
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
    /// The copy sends the messages that the original had not delivered when the copy was made, those written to the
    /// copy since, and parked ones.
    pub send_backlog: bool,
    /// The copy was made of the server's files, which the database cannot detect.
    pub physical_copy: bool,
    /// Counts without changing anything.
    pub dry_run: bool,
}

/// Result of an adoption or a fork, or of its dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocated {
    /// Whether there was anything to do. If not, nothing was changed and nothing counted.
    pub needed: bool,
    /// The log's name from now on; in a dry run of a fork, the one it has.
    pub log_id: Uuid,
    /// Messages that will be sent. Those of transactions that were open then, or came later, are not counted.
    pub to_send: u64,
    /// Messages that count as delivered.
    pub delivered: u64,
    /// Of these, the ones that are not delivered according to the cursor, and are nevertheless not sent.
    pub skipped: u64,
    /// Parked dead letters. A fork that sends no backlog makes them dead, with the reason `fork`.
    pub parked: u64,
}
