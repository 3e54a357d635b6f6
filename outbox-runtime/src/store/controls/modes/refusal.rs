//! Why a mode was not changed, and what a switch would find.

use std::fmt;

use crate::modes::Mode;
use crate::store::StoreError;

/// Why a mode was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// Nothing was changed, because keys would lose their order.
    #[error("the mode was not changed: {0}")]
    Refused(SwitchRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is in a SQLite database.
    #[error("modes need a PostgreSQL database: in SQLite every event goes through the log")]
    Unsupported,
}

/// The condition that a switch waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwitchRefusal {
    /// The log contains undelivered messages, and no relay is active.
    NoRelay {
        /// How many.
        waiting: u64,
    },
    /// The log was not drained in time.
    Backlog {
        /// Number of undelivered messages.
        waiting: u64,
        /// The active relay.
        relay: Option<String>,
    },
    /// Messages are parked, and would arrive after events that are not sent through the log.
    Parked {
        /// How many.
        messages: u64,
    },
    /// Transactions did not end in time.
    Writers(Vec<LockHolder>),
    /// Events that are not sent through the log were not acknowledged in time: the broker does not answer, or
    /// a process is paused.
    Sending(Vec<LockHolder>),
}

/// A session of the database that a switch waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockHolder {
    /// The server process.
    pub pid: i32,
    /// The client's `application_name`; empty if it has none.
    pub application: String,
}

/// The state that a switch would find.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModeOutlook {
    /// The mode that is set.
    pub before: Option<Mode>,
    /// Messages of the scope that wait in the log. Counted up to 100,000.
    pub waiting: u64,
    /// The active relay.
    pub relay: Option<String>,
    /// Why it would be refused now. Waiting messages may still be delivered in time.
    pub refused: Option<SwitchRefusal>,
}

impl fmt::Display for SwitchRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRelay { waiting } => write!(
                f,
                "{waiting} messages wait in the log, and no relay is active to deliver them first: start one"
            ),
            Self::Backlog { waiting, relay } => {
                let relay = relay.as_deref().unwrap_or("none");
                write!(
                    f,
                    "{waiting} messages still wait in the log (active relay: {relay}); see `outbox status` for what holds \
                     them up, such as a pause, and try again or with a longer --timeout"
                )
            }
            Self::Parked { messages } => write!(
                f,
                "{messages} messages are parked, and would arrive after later ones: see `outbox dead-letters list`; they \
                 go out when their topic takes records and is not paused"
            ),
            Self::Writers(holders) => {
                f.write_str("transactions that write events did not end in time: ")?;
                holders_as_text(f, holders)
            }
            Self::Sending(holders) => {
                f.write_str("events that were sent beside the log were not acknowledged in time: ")?;
                holders_as_text(f, holders)
            }
        }
    }
}

fn holders_as_text(f: &mut fmt::Formatter<'_>, holders: &[LockHolder]) -> fmt::Result {
    if holders.is_empty() {
        return f.write_str("they have ended by now, so try again");
    }
    for (number, LockHolder { pid, application }) in holders.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(f, "{comma}pid {pid} ({application})")?;
    }
    f.write_str("; if a process is paused, let it go on or end it")
}
