//! The kinds of faults, and what is known of each.

use std::fmt;

use clap::ValueEnum;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// `kill -9` of a relay, and a new one in its place.
    RelayKilled,
    /// A relay is stopped where it is, for up to three times its lease, and goes on.
    RelayPaused,
    /// `kill -9` of the active relay at a named place.
    RelayKilledAtPlace,
    /// The active relay is stopped at a named place, for up to three times its lease, and goes on.
    RelayPausedAtPlace,
    /// A relay is asked to stop, and another process takes its place, while the others run.
    RelayUpgraded,
    /// `kill -9` of all relays, and many transactions before there is one again.
    RelaysKilledForLong,
    /// All relays are asked to stop, and there are many transactions before there is one again.
    RelaysStoppedForLong,
    /// `kill -9` of the broker that leads a partition.
    LeaderKilled,
    /// `kill -9` of the broker that leads the cursor of exactly-once delivery.
    CursorLeaderKilled,
    /// A broker stands still.
    BrokerPaused,
    /// `kill -9` of all brokers.
    AllBrokersKilled,
    /// A topic asks for more in-sync replicas than there are.
    TooFewInSync,
    /// A topic is deleted with its records, and made again.
    TopicRecreated,
    /// A broker's disk is full, which brings it down.
    BrokerDiskFull,
    /// `kill -9` of PostgreSQL.
    PostgresKilled,
    /// PostgreSQL stands still.
    PostgresPaused,
    /// PostgreSQL's disk is full.
    PostgresDiskFull,
    /// `pg_terminate_backend` for every connection.
    ConnectionsTerminated,
    /// The relays' statements wait for a lock, and are cancelled as a statement timeout cancels them.
    StatementsCancelled,
    /// A path is cut: connections are closed, and new ones too.
    PathCut,
    /// No byte passes on a path.
    PathStalled,
    /// One end of a path's connections is gone, and the other one is not notified.
    PathHalfOpen,
    /// Each piece of data takes long.
    PathSlow,
    /// Requests go through, and their answers are lost.
    AnswersLost,
    /// The log is emptied once all of it is delivered, and its numbers begin again, or at another place.
    SequenceReset,
    /// An operator has delivered messages sent again.
    LogRewound,
    /// An operator skips messages that wait, and has them sent later.
    MessagesSkipped,
    /// An operator pauses the log, a topic or a key for a while.
    SendingPaused,
    /// An operator throttles the log or a topic for a while.
    SendingThrottled,
}

/// Faults of one group are not drawn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Relays,
    Kafka,
    Postgres,
    Paths,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::RelayKilled,
        Self::RelayPaused,
        Self::RelayKilledAtPlace,
        Self::RelayPausedAtPlace,
        Self::RelayUpgraded,
        Self::RelaysKilledForLong,
        Self::RelaysStoppedForLong,
        Self::LeaderKilled,
        Self::CursorLeaderKilled,
        Self::BrokerPaused,
        Self::AllBrokersKilled,
        Self::TooFewInSync,
        Self::TopicRecreated,
        Self::BrokerDiskFull,
        Self::PostgresKilled,
        Self::PostgresPaused,
        Self::PostgresDiskFull,
        Self::ConnectionsTerminated,
        Self::StatementsCancelled,
        Self::PathCut,
        Self::PathStalled,
        Self::PathHalfOpen,
        Self::PathSlow,
        Self::AnswersLost,
        Self::SequenceReset,
        Self::LogRewound,
        Self::MessagesSkipped,
        Self::SendingPaused,
        Self::SendingThrottled,
    ];

    /// How often it is drawn, in relation to others: what takes long to recover from is drawn less often.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::RelayKilled | Self::RelayKilledAtPlace => 12,
            Self::RelayPaused | Self::RelayPausedAtPlace | Self::AnswersLost | Self::PathCut => 8,
            Self::RelayUpgraded | Self::ConnectionsTerminated | Self::StatementsCancelled => 6,
            Self::PathStalled | Self::PathHalfOpen | Self::PathSlow | Self::LogRewound => 5,
            Self::MessagesSkipped | Self::SendingPaused | Self::SendingThrottled => 4,
            Self::PostgresKilled | Self::PostgresPaused | Self::LeaderKilled | Self::BrokerPaused => 4,
            Self::TooFewInSync
            | Self::CursorLeaderKilled
            | Self::RelaysKilledForLong
            | Self::RelaysStoppedForLong
            | Self::SequenceReset => 3,
            Self::AllBrokersKilled | Self::BrokerDiskFull | Self::PostgresDiskFull => 2,
            // librdkafka may not find the topic's new leader, and the relay believes it for two minutes.
            Self::TopicRecreated => 1,
        }
    }

    pub(super) fn needs_disk(self) -> bool {
        matches!(self, Self::BrokerDiskFull | Self::PostgresDiskFull)
    }

    /// Whether it needs everything else to work before it is there.
    pub(super) fn comes_alone(self) -> bool {
        matches!(
            self,
            Self::RelayKilledAtPlace
                | Self::RelayPausedAtPlace
                | Self::RelaysKilledForLong
                | Self::RelaysStoppedForLong
        )
    }

    pub(super) fn group(self) -> Group {
        match self {
            Self::RelayKilled
            | Self::RelayPaused
            | Self::RelayKilledAtPlace
            | Self::RelayPausedAtPlace
            | Self::RelayUpgraded
            | Self::RelaysKilledForLong
            | Self::RelaysStoppedForLong => Group::Relays,
            Self::LeaderKilled
            | Self::CursorLeaderKilled
            | Self::BrokerPaused
            | Self::AllBrokersKilled
            | Self::TooFewInSync
            | Self::TopicRecreated
            | Self::BrokerDiskFull => Group::Kafka,
            Self::PostgresKilled
            | Self::PostgresPaused
            | Self::PostgresDiskFull
            | Self::ConnectionsTerminated
            | Self::StatementsCancelled
            | Self::SequenceReset
            // Operators need the database.
            | Self::LogRewound
            | Self::MessagesSkipped
            | Self::SendingPaused
            | Self::SendingThrottled => Group::Postgres,
            Self::PathCut | Self::PathStalled | Self::PathHalfOpen | Self::PathSlow | Self::AnswersLost => {
                Group::Paths
            }
        }
    }

    /// Whether this fault by itself explains duplicates, without a word of the relay: a process that is gone
    /// says nothing.
    pub(super) fn explains_duplicates(self) -> Option<&'static str> {
        match self {
            Self::RelayKilled | Self::RelayKilledAtPlace | Self::RelaysKilledForLong => {
                Some("a relay was killed")
            }
            Self::TopicRecreated => Some("a topic was deleted"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RelayKilled => "relay killed",
            Self::RelayPaused => "relay paused",
            Self::RelayKilledAtPlace => "relay killed at a named place",
            Self::RelayPausedAtPlace => "relay paused at a named place",
            Self::RelayUpgraded => "relay upgraded in place",
            Self::RelaysKilledForLong => "all relays killed for many transactions",
            Self::RelaysStoppedForLong => "all relays stopped for many transactions",
            Self::LeaderKilled => "broker leader killed",
            Self::CursorLeaderKilled => "leader of the cursor killed",
            Self::BrokerPaused => "broker paused",
            Self::AllBrokersKilled => "all brokers killed",
            Self::TooFewInSync => "too few in-sync replicas",
            Self::TopicRecreated => "topic deleted and recreated",
            Self::BrokerDiskFull => "a broker's disk full",
            Self::PostgresKilled => "PostgreSQL killed",
            Self::PostgresPaused => "PostgreSQL paused",
            Self::PostgresDiskFull => "PostgreSQL's disk full",
            Self::ConnectionsTerminated => "connections terminated",
            Self::StatementsCancelled => "statements timed out",
            Self::PathCut => "path cut",
            Self::PathStalled => "path stalled",
            Self::PathHalfOpen => "path half open",
            Self::PathSlow => "path slow",
            Self::AnswersLost => "answers lost",
            Self::SequenceReset => "sequence set back",
            Self::LogRewound => "log rewound",
            Self::MessagesSkipped => "messages skipped",
            Self::SendingPaused => "sending paused",
            Self::SendingThrottled => "sending throttled",
        })
    }
}
