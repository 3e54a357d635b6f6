//! Where a message is now, as far as the database knows.

pub(super) mod judgement;

use serde::Serialize;
use uuid::Uuid;

use super::{LeaseStatus, OpenWriter};

/// The messages to search for.
///
/// The log has no index on ids, keys or correlation ids. So the newest messages are looked through, and the answer says
/// whether that was all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspect {
    pub(crate) sought: Sought,
    pub(crate) topic: Option<String>,
    pub(crate) scan: u64,
    pub(crate) limit: usize,
}

/// What a message is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sought {
    Id(Uuid),
    Key(String),
    CorrelationId(String),
}

/// Messages that are looked through by default.
const SCAN: u64 = 1_000_000;

/// Messages that are returned by default.
const LIMIT: usize = 100;

impl Inspect {
    fn new(sought: Sought) -> Self {
        Self {
            sought,
            topic: None,
            scan: SCAN,
            limit: LIMIT,
        }
    }

    /// The message with this event id. The search ends when it is found.
    pub fn id(id: Uuid) -> Self {
        Self::new(Sought::Id(id))
    }

    /// Messages with this key.
    pub fn key(key: impl Into<String>) -> Self {
        Self::new(Sought::Key(key.into()))
    }

    /// Messages with this correlation id, the header `ce_correlationid`.
    pub fn correlation_id(id: impl Into<String>) -> Self {
        Self::new(Sought::CorrelationId(id.into()))
    }

    /// Only messages of this topic, named as in the table, without a prefix.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Maximum number of messages to search, beginning with the newest. Default: 1,000,000.
    #[must_use]
    pub fn scan(mut self, messages: u64) -> Self {
        self.scan = messages;
        self
    }

    /// Maximum number of messages to return, beginning with the newest. Default: 100.
    #[must_use]
    pub fn limit(mut self, messages: usize) -> Self {
        self.limit = messages;
        self
    }
}

/// Result of an inspection. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Version of the JSON format. It changes when fields are removed or change their meaning.
    pub schema_version: u32,
    /// The messages that were found, newest first. A message that is not found was never committed, is not committed
    /// yet, or was delivered and pruned; [`search`](Self::search) says which of these is impossible.
    pub messages: Vec<InspectedMessage>,
    /// The extent of the search.
    pub search: LogSearch,
}

/// Extent of a search in the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogSearch {
    /// Number of messages searched.
    pub looked_at: u64,
    /// Whether all messages that could match were searched. If not, increase [`Inspect::scan`].
    pub complete: bool,
    /// When the oldest message of the log occurred (RFC 3339 in UTC); `None` if the log is empty. Older messages were
    /// deleted after they were delivered.
    pub log_begins_at: Option<String>,
    /// Open transactions that have written messages. These are not visible before the commit. At most 20, the oldest
    /// first. PostgreSQL reports it for the own role's transactions only, and for all to members of
    /// `pg_read_all_stats`.
    pub open_writers: Vec<OpenWriter>,
    /// The active relay, if there is one.
    pub relay: Option<LeaseStatus>,
}

/// A message and its state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InspectedMessage {
    /// The event's id.
    pub id: Uuid,
    /// The row's `seq`; `None` if only Kafka knows the message.
    pub seq: Option<i64>,
    /// The topic, as in the table.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The event's type.
    pub event_type: String,
    /// The header `ce_correlationid`.
    pub correlation_id: Option<String>,
    /// The state.
    #[serde(flatten)]
    pub state: MessageState,
    /// Whether its row is still in the log.
    pub in_log: bool,
    /// The record in Kafka, if Kafka was searched.
    pub record: Option<RecordLookup>,
    /// Recorded events of the message, in the order of time.
    pub timeline: Vec<TimelineEntry>,
}

/// State of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageState {
    /// Committed and not settled: it waits for the relay, or is in flight.
    Waiting {
        /// Approximate number of messages before it; `None` if it was committed later than its neighbours.
        ahead: Option<u64>,
        /// What it waits for.
        waits_for: Vec<WaitsFor>,
    },
    /// Kafka has acknowledged it, or it was discarded from the dead letters. Only Kafka can say which.
    Acknowledged,
    /// In the dead letters until its topic or key accepts records. Then it is sent automatically.
    Parked {
        /// The reason code.
        reason: String,
        /// The error as text.
        error: String,
        /// Number of attempts.
        attempts: i64,
        /// What it waits for.
        waits_for: Vec<WaitsFor>,
    },
    /// In the dead letters until an operator replays or discards it.
    Dead {
        /// The reason code.
        reason: String,
        /// The error as text.
        error: String,
        /// Number of attempts.
        attempts: i64,
        /// Whether a replay is requested and not yet done.
        replay_requested: bool,
    },
    /// Acknowledged, and its row was deleted. Only Kafka still has it.
    Pruned,
}

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitsFor {
    /// No relay is active.
    ARelay,
    /// The relay is sending the messages around it: it is in flight or will be soon.
    ItsTurn,
    /// The relay has not reached it yet.
    TheCursor,
    /// Its topic does not accept records: others of the topic are parked, and it will be, too.
    ItsTopic,
    /// There are dead letters with its topic and key: if the topic blocks, it waits for them.
    ItsKey,
    /// An operator has paused its topic or its key.
    AnOperator,
    /// An operator has throttled its topic.
    AThrottle,
}

/// Result of a search in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecordLookup {
    /// The first record with its id.
    Found {
        /// The topic's name in the cluster.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The record's timestamp (RFC 3339 in UTC).
        timestamp: Option<String>,
    },
    /// No record with its id.
    NotFound {
        /// Records that were read.
        read: u64,
        /// Whether all records that could match were read.
        complete: bool,
    },
}

/// An event in the history of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// The time (RFC 3339 in UTC).
    pub at: String,
    /// The name of the event.
    pub what: &'static str,
}

/// The version of the JSON.
const SHAPE: u32 = 1;
