//! Why a log is not healthy: the number that was measured, and its threshold.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::HealthStatus;
use crate::store::{Pause, optional_seconds, seconds};

/// Why an outbox is degraded or unhealthy. In JSON, `reason` names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The database did not answer, or refused the connection. Unhealthy.
    #[non_exhaustive]
    DatabaseUnreachable {
        /// What happened.
        error: String,
        /// Time that the database had to answer.
        #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
        timeout: Duration,
    },
    /// The database is read-only: it is a standby, or `default_transaction_read_only` is on. Unhealthy.
    DatabaseReadOnly,
    /// The outbox tables are missing. Unhealthy.
    #[non_exhaustive]
    TablesMissing {
        /// The missing table.
        table: String,
    },
    /// The tables and this library have different versions, so relays of this version do not start. Degraded,
    /// so that services of both versions keep running during a migration.
    #[non_exhaustive]
    SchemaVersionDiffers {
        /// The version in the database.
        found: i32,
        /// The version of this library.
        expected: i32,
    },
    /// The database works, but the state of the log cannot be read. Degraded.
    #[non_exhaustive]
    LogUnreadable {
        /// What happened.
        error: String,
    },
    /// Too many undelivered messages. Degraded.
    #[non_exhaustive]
    Backlog {
        /// Undelivered messages.
        messages: u64,
        /// Whether all were counted.
        exact: bool,
        /// Maximum that is healthy.
        threshold: u64,
    },
    /// An undelivered message is too old. Degraded.
    #[non_exhaustive]
    OldestMessage {
        /// Age of the oldest undelivered message, by its `occurred_at`.
        #[serde(rename = "age_seconds", serialize_with = "seconds")]
        age: Duration,
        /// Maximum that is healthy.
        #[serde(rename = "threshold_seconds", serialize_with = "seconds")]
        threshold: Duration,
    },
    /// There are undelivered messages and no relay holds the lease. Degraded.
    #[non_exhaustive]
    NoActiveRelay {
        /// Undelivered messages.
        messages: u64,
        /// Time since a relay renewed the lease; `None` if none ever held it.
        #[serde(rename = "silent_seconds", serialize_with = "optional_seconds")]
        silent: Option<Duration>,
        /// Maximum that is healthy.
        #[serde(rename = "threshold_seconds", serialize_with = "seconds")]
        threshold: Duration,
    },
    /// There are undelivered messages, a relay is active, and the cursor does not move. Degraded.
    #[non_exhaustive]
    NothingAcknowledged {
        /// Undelivered messages.
        messages: u64,
        /// Time without an acknowledged message.
        #[serde(rename = "lasting_seconds", serialize_with = "seconds")]
        lasting: Duration,
        /// Maximum that is healthy.
        #[serde(rename = "threshold_seconds", serialize_with = "seconds")]
        threshold: Duration,
    },
    /// Too many dead letters need a decision by an operator. Degraded.
    #[non_exhaustive]
    DeadLetters {
        /// Dead letters in the state `dead`.
        #[serde(rename = "letters")]
        count: u64,
        /// Whether all were counted.
        exact: bool,
        /// Maximum that is healthy.
        threshold: u64,
    },
    /// A topic does not accept records, and its records are parked until it does. Degraded.
    #[non_exhaustive]
    TopicSuspended {
        /// Name of the topic.
        topic: String,
        /// Records that wait for it.
        parked: u64,
        /// Whether all were counted.
        exact: bool,
    },
    /// An operator has paused the log or a topic: its messages wait. Degraded.
    #[non_exhaustive]
    Paused {
        /// What is paused, since when, by whom and why.
        #[serde(flatten)]
        pause: Pause,
    },
    /// Few partitions exist for future messages. Degraded; unhealthy if the next message has no partition.
    #[non_exhaustive]
    PartitionsRunOut {
        /// Messages that still have a partition.
        messages_left: u64,
        /// Minimum that is healthy.
        threshold: u64,
    },
    /// The table of messages is too large. Degraded.
    #[non_exhaustive]
    TableSize {
        /// Size with indexes and partitions.
        bytes: u64,
        /// Maximum that is healthy.
        threshold: u64,
    },
    /// A transaction that has written messages has been open for too long. They are delivered after it
    /// commits. Degraded.
    #[non_exhaustive]
    LongTransaction {
        /// Age of the oldest such transaction.
        #[serde(rename = "age_seconds", serialize_with = "seconds")]
        age: Duration,
        /// Maximum that is healthy.
        #[serde(rename = "threshold_seconds", serialize_with = "seconds")]
        threshold: Duration,
    },
    /// The relay of this process retries and makes no progress. Degraded.
    #[non_exhaustive]
    RelayFailing {
        /// Time without progress.
        #[serde(rename = "lasting_seconds", serialize_with = "seconds")]
        lasting: Duration,
        /// Maximum that is healthy.
        #[serde(rename = "threshold_seconds", serialize_with = "seconds")]
        threshold: Duration,
        /// What fails.
        error: String,
    },
    /// The relay of this process has ended, because of a permanent error or because it was stopped. Degraded.
    RelayEnded,
}

impl Reason {
    /// The severity.
    pub fn status(&self) -> HealthStatus {
        match self {
            Self::DatabaseUnreachable { .. } | Self::DatabaseReadOnly | Self::TablesMissing { .. } => {
                HealthStatus::Unhealthy
            }
            Self::PartitionsRunOut { messages_left: 0, .. } => HealthStatus::Unhealthy,
            Self::SchemaVersionDiffers { .. }
            | Self::LogUnreadable { .. }
            | Self::Backlog { .. }
            | Self::OldestMessage { .. }
            | Self::NoActiveRelay { .. }
            | Self::NothingAcknowledged { .. }
            | Self::DeadLetters { .. }
            | Self::TopicSuspended { .. }
            | Self::Paused { .. }
            | Self::PartitionsRunOut { .. }
            | Self::TableSize { .. }
            | Self::LongTransaction { .. }
            | Self::RelayFailing { .. }
            | Self::RelayEnded => HealthStatus::Degraded,
        }
    }
}

/// One line for people.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = |exact: &bool| if *exact { "" } else { "at least " };
        match self {
            Self::DatabaseUnreachable { error, .. } => write!(f, "the database cannot be reached: {error}"),
            Self::DatabaseReadOnly => f.write_str("the database takes no writes"),
            Self::TablesMissing { table } => {
                write!(
                    f,
                    "the outbox tables are missing (no table {table}): run `outbox migrate`"
                )
            }
            Self::SchemaVersionDiffers { found, expected } => {
                write!(
                    f,
                    "the outbox tables have version {found}, and this program works with {expected}"
                )
            }
            Self::LogUnreadable { error } => write!(f, "the state of the log cannot be read: {error}"),
            Self::Backlog {
                messages,
                exact,
                threshold,
            } => {
                let about = if *exact { "" } else { "about " };
                write!(
                    f,
                    "{about}{messages} messages wait for delivery (more than {threshold})"
                )
            }
            Self::OldestMessage { age, threshold } => write!(
                f,
                "the oldest message has waited {} (longer than {})",
                Lasting(*age),
                Lasting(*threshold)
            ),
            Self::NoActiveRelay {
                messages,
                silent: Some(silent),
                ..
            } => {
                write!(
                    f,
                    "{messages} messages wait, and no relay has been active for {}",
                    Lasting(*silent)
                )
            }
            Self::NoActiveRelay {
                messages,
                silent: None,
                ..
            } => {
                write!(f, "{messages} messages wait, and no relay has ever been active")
            }
            Self::NothingAcknowledged {
                messages, lasting, ..
            } => write!(
                f,
                "{messages} messages wait, and the active relay has delivered none for {}",
                Lasting(*lasting)
            ),
            Self::DeadLetters { count, exact, .. } => write!(
                f,
                "{}{count} dead letters wait for a decision: see `outbox dead-letters list`",
                about(exact)
            ),
            Self::TopicSuspended { topic, parked, exact } => write!(
                f,
                "the topic {topic} takes no records; {}{parked} of its records are parked",
                about(exact)
            ),
            Self::Paused { pause } => write!(f, "{} is {pause}", pause.scope),
            Self::PartitionsRunOut { messages_left: 0, .. } => {
                f.write_str("the next message has no partition: run `outbox migrate`")
            }
            Self::PartitionsRunOut {
                messages_left,
                threshold,
            } => write!(
                f,
                "the partitions have room for {messages_left} more messages (fewer than {threshold}): run `outbox migrate`"
            ),
            Self::TableSize { bytes, threshold } => {
                write!(f, "the messages take {bytes} bytes (more than {threshold})")
            }
            Self::LongTransaction { age, threshold } => write!(
                f,
                "a transaction that has written messages is open for {} (longer than {})",
                Lasting(*age),
                Lasting(*threshold)
            ),
            Self::RelayFailing { lasting, error, .. } => {
                write!(
                    f,
                    "the relay has made no progress for {}: {error}",
                    Lasting(*lasting)
                )
            }
            Self::RelayEnded => f.write_str("the relay of this process has ended"),
        }
    }
}

/// A duration to the second, or to the millisecond below ten seconds.
struct Lasting(Duration);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            ..10 => write!(f, "{} s", self.0.as_millis() as f64 / 1_000.0),
            seconds => write!(f, "{seconds} s"),
        }
    }
}
