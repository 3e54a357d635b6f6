//! From the rows of log and dead letters to where a message is.

use super::{InspectedMessage, Inspection, LogSearch, MessageState, SHAPE, TimelineEntry, WaitsFor};
use crate::store::reader::{BEHIND_DEAD, KEY_PAUSED, TOPIC_PAUSED, TOPIC_THROTTLED};

/// A row of the log: id, seq, topic, key, event type, correlation id, when it occurred, when it was committed.
pub(in crate::store) type Row = (
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
pub(in crate::store) type DeadLetterRow = (
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
pub(in crate::store) enum Place {
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
pub(in crate::store) struct Obstacles {
    /// Records of its topic are parked, and not behind a dead one.
    pub(in crate::store) topic: bool,
    /// Other dead letters have its topic and key.
    pub(in crate::store) key: bool,
    /// An operator has paused it.
    pub(in crate::store) operator: bool,
    /// An operator has throttled its topic.
    pub(in crate::store) throttle: bool,
}

impl Obstacles {
    /// Those of a parked row, by its reason.
    fn of_parked(reason: &str) -> Self {
        Self {
            topic: ![BEHIND_DEAD, KEY_PAUSED, TOPIC_THROTTLED].contains(&reason),
            // Its own row is among the dead letters of its key.
            key: reason == BEHIND_DEAD,
            operator: reason == KEY_PAUSED || reason == TOPIC_PAUSED,
            throttle: reason == TOPIC_THROTTLED,
        }
    }

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
    pub(in crate::store) fn of_row(row: Row, place: Place, obstacles: Obstacles, relay: bool) -> Self {
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
    pub(in crate::store) fn of_dead_letter(dead_letter: DeadLetterRow, in_log: bool, relay: bool) -> Self {
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
        ) = dead_letter;
        let state = match state.as_str() {
            "parked" => MessageState::Parked {
                waits_for: Obstacles::of_parked(&reason).waits_for(relay),
                reason,
                error,
                attempts,
            },
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
pub(in crate::store) struct Found {
    /// The newest first.
    pub(in crate::store) rows: Vec<Row>,
    pub(in crate::store) dead_letters: Vec<DeadLetterRow>,
    pub(in crate::store) search: LogSearch,
}

impl Found {
    /// Puts rows and dead letters together: where both are there, the dead letter says where the message is.
    pub(in crate::store) fn inspection(
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
