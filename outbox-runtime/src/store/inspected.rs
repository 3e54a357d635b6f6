//! Where a message is now, as far as the database knows.

use serde::Serialize;
use uuid::Uuid;

use super::reader::{BEHIND_DEAD, KEY_PAUSED, TOPIC_PAUSED, TOPIC_THROTTLED};
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
pub(crate) const SHAPE: u32 = 1;

/// A row of the log: id, seq, topic, key, event type, correlation id, when it occurred, when it was committed.
pub(super) type Row = (
    String,
    i64,
    String,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
);

/// A row of the dead letters: the first seven as in [`Row`], then state, reason, error, attempts, first and last failure,
/// request of a replay.
pub(super) type DeadLetterRow = (
    String,
    i64,
    String,
    String,
    String,
    Option<String>,
    String,
    String,
    String,
    String,
    i64,
    String,
    String,
    Option<String>,
);

/// Where the cursor is, seen from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The cursor has passed it.
    Behind,
    /// It is in the window that is being worked off, at most so many behind what is settled. SQLite has no windows.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "only PostgreSQL has windows")
    )]
    InWindow(Option<u64>),
    /// It is in none yet.
    Ahead(Option<u64>),
}

/// What else decides about a row that waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Obstacles {
    /// Records of its topic are parked, and not behind a dead one.
    pub(super) topic: bool,
    /// Other dead letters have its topic and key.
    pub(super) key: bool,
    /// An operator has paused it.
    pub(super) operator: bool,
    /// An operator has throttled its topic.
    pub(super) throttle: bool,
}

impl Obstacles {
    fn waits_for(self, relay: bool) -> Vec<WaitsFor> {
        let all = [
            (!relay, WaitsFor::ARelay),
            (self.topic, WaitsFor::ItsTopic),
            (self.key, WaitsFor::ItsKey),
            (self.operator, WaitsFor::AnOperator),
            (self.throttle, WaitsFor::AThrottle),
        ];
        all.into_iter()
            .filter_map(|(holds, what)| holds.then_some(what))
            .collect()
    }
}

impl InspectedMessage {
    /// A row of the log that no dead letter stands for.
    pub(super) fn of_row(row: Row, place: Place, obstacles: Obstacles, relay: bool) -> Self {
        let (id, seq, topic, key, event_type, correlation_id, occurred_at, committed_at) = row;
        let (ahead, last) = match place {
            Place::Behind => (None, None),
            Place::InWindow(ahead) => (ahead, Some(WaitsFor::ItsTurn)),
            Place::Ahead(ahead) => (ahead, Some(WaitsFor::TheCursor)),
        };
        let state = match last {
            None => MessageState::Acknowledged,
            Some(last) => {
                let mut waits_for = obstacles.waits_for(relay);
                waits_for.push(last);
                MessageState::Waiting { ahead, waits_for }
            }
        };
        let committed = committed_at.map(|at| ("committed", at));
        Self {
            id: id.parse().unwrap_or_default(),
            seq: Some(seq),
            topic,
            key,
            event_type,
            correlation_id,
            state,
            in_log: true,
            record: None,
            timeline: timeline([Some(("occurred", occurred_at)), committed]),
        }
    }

    /// A dead letter.
    pub(super) fn of_dead_letter(dead_letter: DeadLetterRow, in_log: bool, relay: bool) -> Self {
        let (
            id,
            seq,
            topic,
            key,
            event_type,
            correlation_id,
            occurred_at,
            state,
            reason,
            error,
            attempts,
            first,
            last,
            replay,
            ..,
        ) = dead_letter;
        let state = match state.as_str() {
            "parked" => {
                let behind_dead = reason == BEHIND_DEAD;
                let waits_for = Obstacles {
                    topic: !behind_dead && reason != KEY_PAUSED && reason != TOPIC_THROTTLED,
                    // Its own row is among the dead letters of its key.
                    key: behind_dead,
                    operator: reason == KEY_PAUSED || reason == TOPIC_PAUSED,
                    throttle: reason == TOPIC_THROTTLED,
                }
                .waits_for(relay);
                MessageState::Parked {
                    reason,
                    error,
                    attempts,
                    waits_for,
                }
            }
            _ => MessageState::Dead {
                reason,
                error,
                attempts,
                replay_requested: replay.is_some(),
            },
        };
        let again = (first != last).then_some(("failed again", last));
        let timeline = timeline([
            Some(("occurred", occurred_at)),
            Some(("set aside", first)),
            again,
            replay.map(|at| ("replay requested", at)),
        ]);
        Self {
            id: id.parse().unwrap_or_default(),
            seq: Some(seq),
            topic,
            key,
            event_type,
            correlation_id,
            state,
            in_log,
            record: None,
            timeline,
        }
    }
}

fn timeline<const N: usize>(events: [Option<(&'static str, String)>; N]) -> Vec<TimelineEntry> {
    let events = events.into_iter().flatten();
    events.map(|(what, at)| TimelineEntry { at, what }).collect()
}

/// What was read of the tables in one snapshot.
pub(super) struct Found {
    /// The newest first.
    pub(super) rows: Vec<Row>,
    pub(super) dead_letters: Vec<DeadLetterRow>,
    pub(super) search: LogSearch,
}

impl Found {
    /// Puts rows and dead letters together: where both are there, the dead letter says where the message is.
    pub(super) fn inspection(
        self,
        limit: usize,
        place: impl Fn(&Row) -> Place,
        obstacles: impl Fn(&str, &str) -> Obstacles,
    ) -> Inspection {
        let relay = self.search.relay.is_some();
        let mut dead_letters = self.dead_letters;
        let mut messages = Vec::new();
        for row in self.rows {
            let dead_letter = dead_letters
                .iter()
                .position(|dead_letter| (&dead_letter.0, dead_letter.1) == (&row.0, row.1));
            let obstacles = obstacles(&row.2, &row.3);
            messages.push(match dead_letter {
                Some(at) => InspectedMessage::of_dead_letter(dead_letters.swap_remove(at), true, relay),
                None => {
                    let place = place(&row);
                    InspectedMessage::of_row(row, place, obstacles, relay)
                }
            });
        }
        let dead_letters = dead_letters.into_iter();
        messages.extend(
            dead_letters.map(|dead_letter| InspectedMessage::of_dead_letter(dead_letter, false, relay)),
        );
        messages.sort_by_key(|message| std::cmp::Reverse(message.seq));
        messages.truncate(limit);
        Inspection {
            schema_version: SHAPE,
            messages,
            search: self.search,
        }
    }
}
