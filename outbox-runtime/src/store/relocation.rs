//! Logs that were moved or copied: what an operator asks for, and what came of it.

use uuid::Uuid;

/// What to go by where no cursor says what was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutCursor {
    /// Everything that is in the log is sent, whether it was sent before or not.
    SendAll,
    /// Nothing that is in the log is sent, whether it was sent before or not.
    SkipAll,
}

/// This is the log, moved: a restored dump, an upgraded cluster. Nothing that was delivered is sent again, and
/// nothing that was not is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopt {
    /// Goes by no cursor: for a log that has lost its cursor row, or is to be sent anew.
    pub without_cursor: Option<WithoutCursor>,
    /// Goes by the database's cursor alone where exactly-once delivery was at work: what Kafka's cursor knows beside
    /// it is forgotten, and comes twice. For a relay that stopped because the two contradict each other.
    pub without_kafka_cursor: bool,
    /// Looks and counts, and changes nothing.
    pub dry_run: bool,
}

/// This is a copy of a log that lives on elsewhere, such as a staging system's. It becomes a log of its own, and
/// what is in it counts as delivered: what was copied is for the original to send, and nothing tells it from what was
/// written in the copy before it became a log of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fork {
    /// The copy sends what the original had not delivered when the copy was made, what was written in the copy since,
    /// and what is parked.
    pub send_backlog: bool,
    /// The copy is one of the server's files, which the database itself cannot tell from the original.
    pub physical_copy: bool,
    /// Looks and counts, and changes nothing.
    pub dry_run: bool,
}

/// What an adoption or a fork found, and did unless it was a dry run.
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
    /// Of these, the ones that the cursor does not call delivered, and that are not sent all the same.
    pub skipped: u64,
    /// Parked dead letters. A fork that sends no backlog makes them dead, with the reason `fork`.
    pub parked: u64,
}
