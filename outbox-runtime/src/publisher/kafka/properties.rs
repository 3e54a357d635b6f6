//! librdkafka's properties: those that a guarantee rests on, and those that a user may choose.

use crate::librdkafka::{Clients, TokenProvider};
use crate::publisher::{PublishError, PublishErrorKind};

/// Properties that are set by us, librdkafka's other names for them, and what rests on them.
const GUARDED: [(&str, &str); 14] = [
    ("acks", DURABLE),
    ("request.required.acks", DURABLE),
    ("enable.idempotence", ORDERED),
    ("max.in.flight", ORDERED),
    ("max.in.flight.requests.per.connection", ORDERED),
    ("queuing.strategy", ORDERED),
    ("message.timeout.ms", PATIENT),
    ("delivery.timeout.ms", PATIENT),
    ("retries", PATIENT),
    ("message.send.max.retries", PATIENT),
    (
        "transactional.id",
        "the relay chooses it, so that exactly one relay is active in each log",
    ),
    (
        "partitioner",
        "each key's events stay in one partition, the one that Java's producer would choose",
    ),
    ("delivery.report.only.error", DURABLE),
    (
        "batch.size",
        "a record that is too large must not take its neighbours along, so it follows the topics' limits",
    ),
];

const DURABLE: &str = "a record counts as delivered only when all in-sync replicas have it";
const ORDERED: &str = "events of one key stay in order and are not doubled by a retry";
const PATIENT: &str = "no event is given up because the broker was away for long";

/// Properties that name the brokers, which have a place of their own.
const BROKERS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];

/// Says why a property may not be set, if it may not.
pub(super) fn check(key: &str) -> Result<(), PublishError> {
    if BROKERS.contains(&key) {
        return Err(refused(key, "the brokers are given apart from the properties"));
    }
    match GUARDED.iter().find(|(guarded, _)| *guarded == key) {
        Some((_, guarantee)) => Err(refused(key, guarantee)),
        None => Ok(()),
    }
}

fn refused(key: &str, why: &str) -> PublishError {
    PublishError::new(
        PublishErrorKind::Configuration,
        format!("the property `{key}` cannot be set: {why}"),
    )
}

/// What every client starts from.
pub(super) fn defaults(brokers: &str, tokens: Option<TokenProvider>) -> Clients {
    let mut clients = Clients::new(brokers, tokens);
    clients
        .set("client.id", "outbox-relay")
        // The default of ten seconds makes the way back after an outage take twice as long.
        .set("reconnect.backoff.max.ms", "1000")
        // A client without a connection tries to connect every half of this, and the first attempt of a new one comes
        // too early. The default is 100.
        .set("reconnect.backoff.ms", "20")
        // A client that missed a change of leaders finds it out in seconds, and not in five minutes.
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("metadata.recovery.rebootstrap.trigger.ms", "20000")
        // What is in flight is bounded by the relay, in records and in bytes.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2147483647");
    clients
}

/// Sets what guarantees rest on; after the user's own properties.
pub(super) fn guard(config: &mut Clients, batch_size: usize) {
    // Several producers send requests that are half empty, which costs the broker more than this costs an event.
    linger(config, "2");
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // Where a request is refused and the next one is on its way, librdkafka begins to count anew in all partitions, and
        // what it has to send again elsewhere is no longer recognised. A broker serves one of a connection at a time anyway.
        .set("max.in.flight", "1")
        .set("message.timeout.ms", "0")
        .set("partitioner", "murmur2_random")
        .set("batch.size", batch_size.to_string())
        // The topic's own limit is checked before; this one only guards librdkafka against nonsense.
        .set("message.max.bytes", "1000000000");
}

/// The same for a producer of transactions. Of the user's own properties, `transaction.timeout.ms` counts: the time
/// after which a transaction is given up, and its records sent again in another one.
pub(super) fn guard_transactions(config: &mut Clients, batch_size: usize, transactional_id: String) {
    let patience = config.get("transaction.timeout.ms").unwrap_or("10000").to_owned();
    // Records gather while their partitions join the transaction.
    linger(config, "0");
    guard(config, batch_size);
    config
        .set("transactional.id", transactional_id)
        // It asks for the topic of cursors before that is created with its settings.
        .set("allow.auto.create.topics", "false")
        // What is refused ends the transaction, and nobody sees what it had sent. A transaction of a few records is mostly
        // round trips, one for each partition.
        .set("max.in.flight", "5")
        // Short: consumers wait for the transaction of a relay that died, until the next one takes over or until then.
        .set("transaction.timeout.ms", &patience)
        // A record that is not taken until then would be part of no transaction.
        .set("message.timeout.ms", patience);
}

/// How long a request waits for more records, unless the user has decided.
fn linger(config: &mut Clients, milliseconds: &str) {
    if config.get("linger.ms").is_none() && config.get("queue.buffering.max.ms").is_none() {
        config.set("linger.ms", milliseconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_property_is_refused_with_its_guarantee() {
        for (key, word) in [
            ("acks", "in-sync"),
            ("delivery.timeout.ms", "given up"),
            ("transactional.id", "one relay"),
        ] {
            let error = check(key).unwrap_err();
            assert_eq!(error.kind(), PublishErrorKind::Configuration);
            let message = error.to_string();
            assert!(message.contains(key) && message.contains(word), "{message}");
        }
        assert!(check("bootstrap.servers").is_err());
        assert!(check("compression.type").is_ok() && check("linger.ms").is_ok());
    }

    #[test]
    fn requests_wait_for_more_records_as_long_as_the_user_says() {
        let mut config = defaults("localhost:1", None);
        guard(&mut config, 1_000);
        assert_eq!(config.get("linger.ms"), Some("2"));
        for key in ["linger.ms", "queue.buffering.max.ms"] {
            let mut config = defaults("localhost:1", None);
            config.set(key, "7");
            guard_transactions(&mut config, 1_000, "outbox-1".to_owned());
            assert_eq!(config.get(key), Some("7"));
            let both = config.get("linger.ms").is_some() && config.get("queue.buffering.max.ms").is_some();
            assert!(!both, "one of two names of a property");
        }
    }

    #[test]
    fn a_producer_of_transactions_gives_up_records_no_later_than_their_transaction() {
        for (chosen, expected) in [(None, "10000"), (Some("20000"), "20000")] {
            let mut config = defaults("localhost:1", None);
            if let Some(chosen) = chosen {
                config.set("transaction.timeout.ms", chosen);
            }
            guard_transactions(&mut config, 1_000, "outbox-1".to_owned());
            assert_eq!(config.get("message.timeout.ms"), Some(expected));
            assert_eq!(config.get("transaction.timeout.ms"), Some(expected));
            assert_eq!(config.get("transactional.id"), Some("outbox-1"));
            assert_eq!(config.get("max.in.flight"), Some("5"));
            assert_eq!(config.get("linger.ms"), Some("0"));
            assert!(config.check().is_ok());
        }
    }
}
