//! What a health check, or a person who looks, wants to know of a log: numbers that are read in bounded time.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Backlog, LeaseStatus, Pause};
use crate::schema::TablesVersion;

/// State of a reachable database.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The version of the tables; none without tables.
    pub version: Option<TablesVersion>,
    /// Whether the database refuses writes.
    pub read_only: bool,
    /// The log's state, if its tables have this library's version; else the reason why it is unknown.
    pub log: Option<Result<LogState, String>>,
}

/// A log's state. Every number is read in bounded time, regardless of the log's length.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogState {
    /// Committed messages that are not settled.
    pub backlog: Backlog,
    /// The active relay, if there is one.
    pub lease: Option<LeaseStatus>,
    /// Time since a relay renewed the lease; `None` if no relay ever held it.
    #[serde(rename = "lease_silent_seconds", serialize_with = "optional_seconds")]
    pub lease_silent: Option<Duration>,
    /// Time since the cursor moved. An idle relay does not move it.
    #[serde(rename = "cursor_age_seconds", serialize_with = "seconds")]
    pub cursor_age: Duration,
    /// The highest `seq` that was assigned, including those of open and rolled-back transactions.
    pub written_to: u64,
    /// The `seq` that the cursor has reached. Late messages of long transactions may be below it.
    pub delivered_to: u64,
    /// Dead letters in the state `dead`.
    pub dead: Counted,
    /// Topics with parked records, at most 50.
    pub parked: Vec<ParkedTopic>,
    /// Size of the messages with their indexes and all partitions, in bytes. In SQLite: the size of the file.
    pub table_bytes: u64,
    /// Age of the oldest open transaction that has written messages. Those are not visible before it commits.
    /// PostgreSQL reports it for the own role's transactions only, and for all to members of `pg_read_all_stats`.
    #[serde(rename = "longest_writer_seconds", serialize_with = "optional_seconds")]
    pub longest_writer: Option<Duration>,
    /// What operators have paused.
    pub paused: Vec<Pause>,
    /// Room in the partitions; `None` if the messages are not partitioned.
    pub partitions: Option<PartitionRoom>,
}

/// A number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The number; a lower bound unless `exact`.
    pub rows: u64,
    /// Whether all were counted.
    pub exact: bool,
}

/// Parked records of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParkedTopic {
    /// Name of the topic.
    pub topic: String,
    /// Records that wait until the topic accepts records again.
    pub suspended: u64,
    /// Records that wait behind a dead record of their key.
    pub behind_dead: u64,
    /// Whether all were counted.
    pub exact: bool,
}

/// Capacity of the existing partitions for future messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionRoom {
    /// Messages that still have a partition.
    pub messages_left: u64,
    /// Number of messages per partition.
    pub partition_messages: u64,
}

/// To the millisecond: more is noise.
pub(crate) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1_000.0).round() / 1_000.0)
}

/// As [`seconds`], or null.
pub(crate) fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}
