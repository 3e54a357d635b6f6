//! From numbers to reasons; without a clock or a database.

use super::{HealthConfig, Reason, Relay};
use crate::Tables;
use crate::schema::SCHEMA_VERSION;
use crate::store::{LogState, Observation};

/// What is wrong with a database that answered.
pub(super) fn judge_database(observed: &Observation, tables: &Tables, config: &HealthConfig) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if observed.read_only {
        reasons.push(Reason::DatabaseReadOnly);
    }
    match observed.version {
        None => reasons.push(Reason::TablesMissing {
            table: tables.schema_version(),
        }),
        Some(found) if !found.fit().is_good() => reasons.push(Reason::SchemaVersionDiffers {
            found: found.number(),
            expected: SCHEMA_VERSION,
        }),
        Some(_) => {}
    }
    match &observed.log {
        Some(Ok(log)) => {
            reasons.extend(judge_delivery(log, config));
            reasons.extend(judge_tables(log, config));
        }
        Some(Err(error)) => reasons.push(Reason::LogUnreadable { error: error.clone() }),
        None => {}
    }
    reasons
}

/// Whether messages get out.
fn judge_delivery(log: &LogState, config: &HealthConfig) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let messages = log.backlog.messages;
    if messages > config.backlog {
        reasons.push(Reason::Backlog {
            messages,
            exact: log.backlog.exact,
            threshold: config.backlog,
        });
    }
    let Some(age) = log.backlog.oldest_age else {
        return reasons;
    };
    if age > config.oldest_age {
        reasons.push(Reason::OldestMessage {
            age,
            threshold: config.oldest_age,
        });
    }
    // Before there was something to deliver, nobody had to be active, and nothing could be acknowledged.
    let silent = log.lease_silent.map_or(age, |silent| silent.min(age));
    if log.lease.is_none() && silent > config.no_relay_for {
        reasons.push(Reason::NoActiveRelay {
            messages,
            silent: log.lease_silent,
            threshold: config.no_relay_for,
        });
    }
    let lasting = log.cursor_age.min(age);
    if log.lease.is_some() && lasting > config.nothing_acknowledged_for {
        reasons.push(Reason::NothingAcknowledged {
            messages,
            lasting,
            threshold: config.nothing_acknowledged_for,
        });
    }
    reasons
}

/// Whether the tables need somebody.
fn judge_tables(log: &LogState, config: &HealthConfig) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if log.dead.rows > config.dead_letters {
        reasons.push(Reason::DeadLetters {
            count: log.dead.rows,
            exact: log.dead.exact,
            threshold: config.dead_letters,
        });
    }
    let is_paused = |topic: &str| (log.paused.iter()).any(|pause| pause.scope.is_topic(topic));
    let suspended = log.parked.iter().filter(|topic| topic.suspended > 0);
    let suspended = suspended.filter(|topic| !is_paused(&topic.topic));
    reasons.extend(suspended.map(|topic| Reason::TopicSuspended {
        topic: topic.topic.clone(),
        parked: topic.suspended,
        exact: topic.exact,
    }));
    let paused = log.paused.iter().cloned();
    reasons.extend(paused.map(|pause| Reason::Paused { pause }));
    if let Some(room) = log.partitions {
        let threshold = room
            .partition_messages
            .saturating_mul(u64::from(config.partitions_ahead))
            .max(1);
        if room.messages_left < threshold {
            reasons.push(Reason::PartitionsRunOut {
                messages_left: room.messages_left,
                threshold,
            });
        }
    }
    if log.table_bytes > config.table_bytes {
        reasons.push(Reason::TableSize {
            bytes: log.table_bytes,
            threshold: config.table_bytes,
        });
    }
    if let Some(age) = log.longest_writer.filter(|age| *age > config.writer_age) {
        reasons.push(Reason::LongTransaction {
            age,
            threshold: config.writer_age,
        });
    }
    reasons
}

/// State of the relay of this process.
pub(super) fn judge_relay(relay: &Relay, config: &HealthConfig) -> Option<Reason> {
    match relay {
        Relay::Stopped => Some(Reason::RelayEnded),
        Relay::Failing { lasting, error } if *lasting > config.relay_failing_for => {
            Some(Reason::RelayFailing {
                lasting: *lasting,
                threshold: config.relay_failing_for,
                error: error.clone(),
            })
        }
        Relay::Standby | Relay::Active | Relay::Failing { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::HealthStatus;
    use crate::schema::TablesVersion;
    use crate::store::{Backlog, Counted, LeaseStatus, ParkedTopic, PartitionRoom};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A log that is relayed, and has just taken a message.
    fn log() -> LogState {
        LogState {
            backlog: Backlog {
                messages: 1,
                exact: true,
                oldest_age: Some(s(1)),
            },
            lease: Some(LeaseStatus {
                holder: "host:7".to_owned(),
                epoch: 3,
                age: s(1),
            }),
            lease_silent: Some(s(1)),
            cursor_age: s(3_600),
            written_to: 10,
            delivered_to: 9,
            dead: Counted { rows: 0, exact: true },
            parked: Vec::new(),
            table_bytes: 1_000,
            longest_writer: Some(s(1)),
            paused: Vec::new(),
            partitions: Some(PartitionRoom {
                messages_left: 200,
                partition_messages: 100,
            }),
        }
    }

    fn reasons(change: impl FnOnce(&mut LogState)) -> Vec<String> {
        let mut log = log();
        change(&mut log);
        let observed = Observation {
            version: Some(TablesVersion::new(SCHEMA_VERSION, None)),
            read_only: false,
            log: Some(Ok(log)),
        };
        let reasons = judge_database(&observed, &Tables::default(), &HealthConfig::new());
        assert!(
            reasons
                .iter()
                .all(|reason| reason.status() == HealthStatus::Degraded
                    || matches!(reason, Reason::PartitionsRunOut { messages_left: 0, .. }))
        );
        let names = reasons.iter().map(|reason| serde_json::to_value(reason).unwrap());
        names
            .map(|name| name["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    fn parked(suspended: u64, behind_dead: u64) -> Vec<ParkedTopic> {
        vec![ParkedTopic {
            topic: "orders".to_owned(),
            suspended,
            behind_dead,
            exact: true,
        }]
    }

    /// Each reason at its threshold and beyond it: none appears too early, and none brings another one along.
    #[test]
    fn each_reason_of_delivery_begins_behind_its_threshold() {
        assert_eq!(reasons(|_| ()), [""; 0]);
        assert_eq!(reasons(|log| log.backlog.messages = 100_000), [""; 0]);
        assert_eq!(reasons(|log| log.backlog.messages = 100_001), ["backlog"]);
        let moving = |log: &mut LogState| log.cursor_age = s(1);
        assert_eq!(
            reasons(|log| {
                moving(log);
                log.backlog.oldest_age = Some(s(60))
            }),
            [""; 0]
        );
        assert_eq!(
            reasons(|log| {
                moving(log);
                log.backlog.oldest_age = Some(s(61))
            }),
            ["oldest_message"]
        );
        let stuck = |log: &mut LogState, age| {
            log.backlog.oldest_age = Some(s(61));
            log.cursor_age = s(age)
        };
        assert_eq!(reasons(|log| stuck(log, 60)), ["oldest_message"]);
        assert_eq!(
            reasons(|log| stuck(log, 61)),
            ["oldest_message", "nothing_acknowledged"]
        );
        let gone = |log: &mut LogState, silent| {
            log.lease = None;
            log.lease_silent = silent;
            log.backlog.oldest_age = Some(s(40))
        };
        assert_eq!(reasons(|log| gone(log, Some(s(30)))), [""; 0]);
        assert_eq!(reasons(|log| gone(log, Some(s(31)))), ["no_active_relay"]);
        assert_eq!(reasons(|log| gone(log, None)), ["no_active_relay"]);
        assert_eq!(
            reasons(|log| {
                gone(log, None);
                log.backlog.oldest_age = Some(s(30))
            }),
            [""; 0]
        );
        // Nothing waits: nobody has to be there.
        assert_eq!(
            reasons(|log| {
                gone(log, Some(s(9_999)));
                log.backlog.oldest_age = None
            }),
            [""; 0]
        );
    }

    #[test]
    fn each_reason_of_the_tables_begins_behind_its_threshold() {
        assert_eq!(reasons(|log| log.dead.rows = 1), ["dead_letters"]);
        assert_eq!(reasons(|log| log.parked = parked(1, 0)), ["topic_suspended"]);
        assert_eq!(reasons(|log| log.parked = parked(0, 1)), [""; 0]);
        assert_eq!(reasons(|log| log.partitions = None), [""; 0]);
        assert_eq!(reasons(|log| log.table_bytes = 50 << 30), [""; 0]);
        assert_eq!(reasons(|log| log.table_bytes = (50 << 30) + 1), ["table_size"]);
        assert_eq!(reasons(|log| log.longest_writer = Some(s(300))), [""; 0]);
        assert_eq!(
            reasons(|log| log.longest_writer = Some(s(301))),
            ["long_transaction"]
        );
        let room = |log: &mut LogState, left| {
            log.partitions = Some(PartitionRoom {
                messages_left: left,
                partition_messages: 100,
            })
        };
        assert_eq!(reasons(|log| room(log, 199)), ["partitions_run_out"]);
        assert_eq!(reasons(|log| room(log, 0)), ["partitions_run_out"]);
    }

    #[test]
    fn a_threshold_that_is_the_greatest_number_switches_its_check_off() {
        let mut log = log();
        log.backlog.messages = u64::MAX;
        log.longest_writer = Some(s(1_000_000));
        log.partitions = Some(PartitionRoom {
            messages_left: 1,
            partition_messages: 100,
        });
        let config = HealthConfig::new()
            .backlog(u64::MAX)
            .writer_age(Duration::MAX)
            .partitions_ahead(0);
        assert!(judge_delivery(&log, &config).is_empty());
        assert!(judge_tables(&log, &config).is_empty());
        log.partitions = Some(PartitionRoom {
            messages_left: 0,
            partition_messages: 100,
        });
        assert_eq!(judge_tables(&log, &config).len(), 1);
    }

    #[test]
    fn only_what_keeps_a_service_from_committing_is_unhealthy() {
        let database = |version, read_only| {
            let observed = Observation {
                version,
                read_only,
                log: None,
            };
            let reasons = judge_database(&observed, &Tables::default(), &HealthConfig::new());
            reasons.iter().map(Reason::status).max()
        };
        let degraded = Some(HealthStatus::Degraded);
        let of = |number, oldest| Some(TablesVersion::new(number, oldest));
        let same = of(SCHEMA_VERSION, None);
        assert_eq!(database(same, false), None);
        assert_eq!(database(same, true), Some(HealthStatus::Unhealthy));
        assert_eq!(database(None, false), Some(HealthStatus::Unhealthy));
        assert_eq!(database(of(SCHEMA_VERSION - 1, None), false), degraded);
        assert_eq!(database(of(SCHEMA_VERSION + 1, None), false), degraded);
        assert_eq!(
            database(of(SCHEMA_VERSION + 1, Some(SCHEMA_VERSION)), false),
            None
        );
    }

    #[test]
    fn a_relay_of_this_process_joins_in() {
        let judge = |relay: Relay| judge_relay(&relay, &HealthConfig::new()).is_some();
        let failing = |lasting| Relay::Failing {
            lasting,
            error: "the broker is away".to_owned(),
        };
        assert!(!judge(Relay::Standby) && !judge(Relay::Active) && !judge(failing(s(10))));
        assert!(judge(failing(s(11))) && judge(Relay::Stopped));
    }
}
