//! The codes of findings. They are stable: programs and runbooks refer to them.

use serde::{Serialize, Serializer};

use super::Severity;
use Severity::{Note, Serious, Warning};

macro_rules! codes {
    ($($code:ident $severity:ident $name:literal $meaning:literal;)*) => {
        /// What kind of finding it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// All of them, in the order of the documentation.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$code,)*];

            /// The name in the output.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// How bad a finding of this kind is.
            pub(crate) const fn severity(self) -> Severity {
                match self { $(Self::$code => $severity,)* }
            }

            /// What it says, for the documentation.
            #[cfg(test)]
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)* }
            }
        }
    };
}

codes! {
    TablesMissing Serious "tables_missing" "The outbox tables are not in the database, or not in this schema.";
    SchemaVersion Serious "schema_version" "The tables have a version that this program does not work with.";
    ProgramOlder Note "program_older" "The tables have a newer version, and this program works with them.";
    TablesDiffer Serious "tables_differ" "A table, column, key or assumption differs so that messages would be lost or refused.";
    TablesWeak Warning "tables_weak" "A constraint, trigger or setting of the tables is missing; everything works with fewer safeguards.";
    IndexMissing Warning "index_missing" "An index is missing; the relay becomes slower as the table grows.";
    IndexInvalid Warning "index_invalid" "An index is invalid, so PostgreSQL does not use it.";
    RowLevelSecurity Serious "row_level_security" "Row-level security hides rows from this role.";
    Encoding Serious "encoding" "The database does not check the encoding of texts.";
    Sequence Serious "sequence" "The sequence behind `seq` does not assign numbers as the relay requires, or has none left.";
    SequenceHeadroom Warning "sequence_headroom" "The sequence behind `seq` runs out of numbers, or is behind the messages.";
    PartitionsMissing Serious "partitions_missing" "There is no partition for the next message: inserts fail.";
    PartitionsRunOut Warning "partitions_run_out" "There are few partitions for future messages.";
    RightsMissing Serious "rights_missing" "The role lacks rights for the work that `--role` names, or for any work.";
    ServerVersion Serious "server_version" "PostgreSQL is older than 13.";
    Standby Serious "standby" "The address leads to a standby, which is read-only.";
    ReadOnly Serious "read_only" "Transactions are read-only by default.";
    FsyncOff Serious "fsync_off" "`fsync` is off: a crash of the machine corrupts the database.";
    SynchronousCommitOff Warning "synchronous_commit_off" "Commits are not durable: a crash can undo a transaction whose event was delivered.";
    AutovacuumOff Warning "autovacuum_off" "Autovacuum is off for the server or for a table: dead rows are never removed.";
    IdleTimeoutOff Note "idle_timeout_off" "No timeout ends idle transactions.";
    Pooler Warning "pooler" "A pooler is between this address and PostgreSQL: services may use it, a relay cannot.";
    LongTransaction Warning "long_transaction" "A transaction has been open for too long: its messages are not delivered, and dead rows cannot be removed.";
    PreparedTransaction Warning "prepared_transaction" "A prepared transaction has been open for too long, with the same effects.";
    ReplicationSlot Warning "replication_slot" "A replication slot keeps WAL, or keeps dead rows from being removed.";
    StandbyFeedback Warning "standby_feedback" "A query on a standby (`hot_standby_feedback`) keeps dead rows from being removed.";
    DeadRows Warning "dead_rows" "A table contains many dead rows.";
    Bloat Warning "bloat" "A table of one row is large: each of its updates and reads is slow.";
    Clock Warning "clock" "The clocks of this machine and of PostgreSQL differ.";
    NoActiveRelay Serious "no_active_relay" "There are undelivered messages, and no relay is active.";
    NoRelay Note "no_relay" "No relay is active, and there are no undelivered messages.";
    NothingAcknowledged Serious "nothing_acknowledged" "There are undelivered messages, a relay is active, and nothing is acknowledged.";
    Backlog Warning "backlog" "There are many undelivered messages.";
    OldestMessage Warning "oldest_message" "A message has been undelivered for too long.";
    DeadLetters Warning "dead_letters" "Dead letters need a decision.";
    TopicSuspended Serious "topic_suspended" "A topic does not accept records; its messages are parked.";
    Paused Note "paused" "An operator has paused the log or a topic.";
    TableSize Warning "table_size" "The table of messages is large.";
    LogUnreadable Serious "log_unreadable" "The state of the log cannot be read.";
    JournalMode Note "journal_mode" "SQLite is not in WAL mode: readers and the writer wait for each other.";
    NotVisible Note "not_visible" "A check was not possible, because the role or user lacks a right.";
    KafkaUnreachable Serious "kafka_unreachable" "No broker answers.";
    TopicMissing Serious "topic_missing" "A topic of an event does not exist, or may not be described.";
    TopicDiffers Warning "topic_differs" "A topic differs from `outbox.toml`.";
    TopicTemplate Note "topic_template" "An event's topic is a template whose topics are not listed in `outbox.toml`.";
    Replication Warning "replication" "A topic has fewer replicas than min(3, number of brokers).";
    MinInsyncReplicas Warning "min_insync_replicas" "With 3 replicas, `min.insync.replicas` is 1: an acknowledged record can be lost with one broker.";
    MinInsyncTooHigh Serious "min_insync_too_high" "`min.insync.replicas` is greater than the number of replicas: every record is refused.";
    NoSpareReplica Warning "no_spare_replica" "`min.insync.replicas` equals the number of replicas: an outage of one broker stops the topic.";
    PartitionOffline Serious "partition_offline" "A partition has no leader, or fewer replicas in sync than `min.insync.replicas`.";
    UnderReplicated Warning "under_replicated" "A replica is not in sync.";
    UncleanElection Warning "unclean_leader_election" "`unclean.leader.election.enable` is on: acknowledged records can be lost.";
    AutoCreateTopics Warning "auto_create_topics" "`auto.create.topics.enable` is on: a wrong name creates a topic with default settings.";
    MessageTooLarge Serious "message_too_large" "A message in the log is larger than its topic accepts.";
    MessageNearLimit Warning "message_near_limit" "A message in the log is larger than 90 % of its topic's limit.";
    CursorTopicMissing Serious "cursor_topic_missing" "The cursor topic of exactly-once delivery does not exist.";
    CursorTopicPolicy Serious "cursor_topic_policy" "The cursor topic is not `cleanup.policy=compact`: Kafka deletes the cursor.";
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::*;

    /// The page has a table of all codes. Where it differs, the failure shows the table as it should be.
    #[test]
    fn every_code_is_documented() {
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len(), "a name is used twice");
        let rows = Code::ALL.iter().map(|code| {
            let (name, severity, meaning) = (code.as_str(), code.severity().as_str(), code.meaning());
            format!("| `{name}` | {severity} | {meaning} |\n")
        });
        let table = format!(
            "| code | severity | meaning |\n| --- | --- | --- |\n{}",
            rows.collect::<String>()
        );
        let page =
            fs::read_to_string(format!("{}/../docs/guide/doctor.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(
            page.contains(&table),
            "docs/guide/doctor.md differs from the codes:\n{table}"
        );
    }
}
