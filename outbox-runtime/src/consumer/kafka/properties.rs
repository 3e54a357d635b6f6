//! librdkafka's properties: those that a guarantee rests on, and those that a user may choose.

use crate::consumer::ConsumerError;
use crate::librdkafka::{Clients, TokenProvider};

/// Properties that are set by us, librdkafka's other names for them, and what rests on them.
const GUARDED: [(&str, &str); 9] = [
    ("enable.auto.commit", AFTER),
    ("auto.commit.enable", AFTER),
    ("auto.commit.interval.ms", AFTER),
    ("enable.auto.offset.store", AFTER),
    ("offset.store.method", AFTER),
    ("enable.partition.eof", "the end of a partition is no message"),
    (
        "group.id",
        "the group is given apart from the properties; it is also the name in the inbox",
    ),
    ("bootstrap.servers", BROKERS),
    ("metadata.broker.list", BROKERS),
];

const AFTER: &str = "a message's offset is committed only after the transaction that processed it";
const BROKERS: &str = "the brokers are given apart from the properties";

/// Says why a property may not be set, if it may not.
pub(super) fn check(key: &str) -> Result<(), ConsumerError> {
    match GUARDED.iter().find(|(guarded, _)| *guarded == key) {
        Some((_, guarantee)) => Err(ConsumerError::configuration(format!(
            "the property `{key}` cannot be set: {guarantee}"
        ))),
        None => Ok(()),
    }
}

/// The client's configuration, with the user's properties between the defaults and what guarantees rest on.
pub(super) fn client(
    brokers: &str,
    group: &str,
    properties: &[(String, String)],
    tokens: Option<TokenProvider>,
) -> Clients {
    let mut config = Clients::new(brokers, tokens);
    config
        .set("client.id", "outbox-consumer")
        // A new group begins with what is there. To skip it is a decision.
        .set("auto.offset.reset", "earliest")
        // The default of ten seconds makes the way back after an outage take twice as long.
        .set("reconnect.backoff.max.ms", "1000")
        // A topic that is made later is found in seconds, and not in five minutes.
        .set("topic.metadata.refresh.interval.ms", "10000")
        // What librdkafka reads ahead, for all partitions together; each has a queue of ours besides.
        .set("queued.max.messages.kbytes", "16384")
        // A partition is paused when its queue is full, which throws away what was read ahead for it.
        .set("fetch.message.max.bytes", "262144")
        // Reads on as soon as there is room again, and not a second later.
        .set("fetch.queue.backoff.ms", "50");
    if cfg!(feature = "metrics") {
        // How far it is behind is part of librdkafka's statistics.
        config.set("statistics.interval.ms", "15000");
    }
    let given = |name: &str| properties.iter().any(|(key, _)| key == name);
    // A rebalance takes only the partitions that move. Under the newer protocol the broker decides.
    if !given("group.protocol") {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    for (key, value) in properties {
        config.set(key, value);
    }
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "false");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_property_is_refused_with_its_guarantee() {
        for (key, word) in [
            ("enable.auto.commit", "after the transaction"),
            ("group.id", "inbox"),
            ("bootstrap.servers", "brokers"),
        ] {
            let message = check(key).unwrap_err().to_string();
            assert!(message.contains(key) && message.contains(word), "{message}");
        }
        assert!(check("group.instance.id").is_ok() && check("auto.offset.reset").is_ok());
    }

    #[test]
    fn the_newer_protocol_is_not_mixed_with_the_older_ones_settings() {
        let newer = [("group.protocol".to_owned(), "consumer".to_owned())];
        let config = client("b", "g", &newer, None);
        assert_eq!(config.get("partition.assignment.strategy"), None);
        let config = client("b", "g", &[], None);
        assert_eq!(
            config.get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
    }
}
