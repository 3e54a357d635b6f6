use std::collections::BTreeMap;

use super::*;
use crate::doctor::kafka::facts::Partition;
use crate::doctor::postgres::Payload;
use crate::doctor::{Hidden, Seen};
use crate::topics::Difference;

fn settings(pairs: &[(&str, &str)]) -> Seen<BTreeMap<String, String>> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Seen::Is(pairs.collect())
}

fn topic(name: &str, replicas: usize) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions: vec![
            Partition {
                replicas,
                in_sync: replicas,
                has_leader: true
            };
            2
        ],
        settings: settings(&[
            ("min.insync.replicas", "2"),
            ("max.message.bytes", "1000"),
            ("unclean.leader.election.enable", "false"),
            ("cleanup.policy", "compact"),
        ]),
    }
}

/// Three brokers, a topic and a cursor topic.
fn healthy() -> KafkaFacts {
    KafkaFacts {
        brokers: 3,
        broker_settings: settings(&[("auto.create.topics.enable", "false")]),
        topics: vec![topic("orders", 3), topic("cursors", 3)],
        missing: Vec::new(),
        differences: Vec::new(),
        open_templates: Vec::new(),
        cursor_topic: Some("cursors".to_owned()),
        payloads: vec![Payload {
            topic: "orders".to_owned(),
            bytes: 900,
        }],
    }
}

fn set(topic: &mut Topic, name: &str, value: &str) {
    if let Seen::Is(settings) = &mut topic.settings {
        settings.insert(name.to_owned(), value.to_owned());
    }
}

type Case = (fn(&mut KafkaFacts), &'static str);

const CASES: &[Case] = &[
    (
        |facts| facts.broker_settings = settings(&[("auto.create.topics.enable", "true")]),
        "auto_create_topics",
    ),
    (
        |facts| facts.missing = vec!["payments".to_owned()],
        "topic_missing",
    ),
    (
        |facts| facts.missing = vec!["cursors".to_owned()],
        "cursor_topic_missing",
    ),
    (
        |facts| facts.open_templates = vec!["shop.{region}".to_owned()],
        "topic_template",
    ),
    (
        |facts| {
            facts.differences = vec![Difference {
                topic: "orders".to_owned(),
                what: "partitions".to_owned(),
                wanted: "3".to_owned(),
                actual: Some("2".to_owned()),
            }];
        },
        "topic_differs",
    ),
    (
        |facts| {
            facts.topics[0] = topic("orders", 1);
            set(&mut facts.topics[0], "min.insync.replicas", "1");
        },
        "replication",
    ),
    (
        |facts| set(&mut facts.topics[0], "min.insync.replicas", "1"),
        "min_insync_replicas",
    ),
    (
        |facts| set(&mut facts.topics[0], "min.insync.replicas", "3"),
        "no_spare_replica",
    ),
    (
        |facts| set(&mut facts.topics[0], "min.insync.replicas", "4"),
        "min_insync_too_high",
    ),
    (
        |facts| facts.topics[0].partitions[1].in_sync = 2,
        "under_replicated",
    ),
    (
        |facts| facts.topics[0].partitions[1].in_sync = 1,
        "partition_offline",
    ),
    (
        |facts| facts.topics[0].partitions[1].has_leader = false,
        "partition_offline",
    ),
    (
        |facts| set(&mut facts.topics[0], "unclean.leader.election.enable", "true"),
        "unclean_leader_election",
    ),
    (|facts| facts.payloads[0].bytes = 901, "message_near_limit"),
    (|facts| facts.payloads[0].bytes = 1001, "message_too_large"),
    (
        |facts| set(&mut facts.topics[1], "cleanup.policy", "compact,delete"),
        "cursor_topic_policy",
    ),
    (
        |facts| {
            facts.topics[0].settings = Seen::Hidden(Hidden {
                what: "the settings of a topic",
                error: "not authorized".to_owned(),
                mend: None,
            });
        },
        "not_visible",
    ),
];

fn found(change: impl FnOnce(&mut KafkaFacts)) -> Vec<&'static str> {
    let mut facts = healthy();
    change(&mut facts);
    judge(&facts)
        .iter()
        .map(|finding| finding.code.as_str())
        .collect()
}

#[test]
fn each_fault_is_found_and_brings_no_other_along() {
    assert_eq!(found(|_| ()), [""; 0]);
    for (change, code) in CASES {
        assert_eq!(found(change), [*code]);
    }
}

#[test]
fn one_broker_can_have_no_more_than_one_replica() {
    let none = found(|facts| {
        facts.brokers = 1;
        for topic in &mut facts.topics {
            topic.partitions = vec![Partition {
                replicas: 1,
                in_sync: 1,
                has_leader: true,
            }];
            set(topic, "min.insync.replicas", "1");
        }
    });
    assert_eq!(none, [""; 0]);
}

#[test]
fn other_topics_than_the_cursors_may_be_deleted_from() {
    assert_eq!(
        found(|facts| set(&mut facts.topics[0], "cleanup.policy", "delete")),
        [""; 0]
    );
}
