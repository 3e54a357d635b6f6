//! `outbox relay` from SQLite to librdkafka's mock cluster.

use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::outbox::PATIENCE;
use crate::sqlite::{INSERT, execute};
use crate::{Place, Running, status};

/// The mock cannot be asked for topics' limits.
const RELAY: &str = "relay -D sqlite:app.db --assume-topic-limits";

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    cluster
}

fn migrated() -> Place {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    place
}

/// The first record of the topic: key, value and headers.
fn first_record(brokers: &str) -> (String, String, Vec<(String, String)>) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut beginning = TopicPartitionList::new();
    beginning
        .add_partition_offset("orders", 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&beginning).unwrap();
    let record = consumer.poll(PATIENCE).expect("a record").unwrap();
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
    let headers = record.headers().into_iter().flat_map(Headers::iter);
    let headers = headers
        .map(|header| (header.key.to_owned(), text(header.value)))
        .collect();
    (text(record.key()), text(record.payload()), headers)
}

#[test]
fn until_empty_delivers_what_is_there_and_ends() {
    let (cluster, place) = (cluster(), migrated());
    execute(&place, "app.db", INSERT);
    let brokers = cluster.bootstrap_servers();
    let relay = format!("{RELAY} --brokers {brokers} --until-empty --source /shop -X linger.ms=1");

    let ran = place.run(&relay);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "delivered 1 messages\n"),
        "{ran:?}"
    );
    let (key, value, headers) = first_record(&brokers);
    assert_eq!((key.as_str(), value.as_str()), ("o-1", "{\"amount\": 12}"));
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"]
    );
    assert_eq!(
        (headers[2].1.as_str(), headers[3].1.as_str()),
        ("/shop", "OrderPlacedV1")
    );

    let status = status(&place, "sqlite:app.db");
    assert_eq!(
        (&status["backlog"]["messages"], &status["lease"]),
        (&0.into(), &serde_json::Value::Null)
    );
    let again = place.run(&relay);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "delivered 0 messages\n"),
        "{again:?}"
    );
}

#[test]
fn a_missing_schema_ends_it_with_what_to_run() {
    let place = migrated();
    let relay = "relay -D sqlite:app.db --prefix billing_ --brokers localhost:1";
    place.run(relay).fails(1, &["outbox migrate --prefix billing_"]);
}

#[cfg(unix)]
#[test]
fn a_signal_stops_it_gracefully() {
    let cluster = cluster();
    for signal in ["TERM", "INT"] {
        let place = migrated();
        execute(&place, "app.db", INSERT);
        let relay = format!("{RELAY} --brokers {}", cluster.bootstrap_servers());
        let mut running = Running::start(place.command(&relay));
        running.says("this relay is the active one");
        let deadline = Instant::now() + PATIENCE;
        while status(&place, "sqlite:app.db")["backlog"]["messages"] != 0 {
            assert!(Instant::now() < deadline, "nothing is delivered");
        }
        assert_eq!(status(&place, "sqlite:app.db")["lease"]["epoch"], 1);

        running.signal(signal);
        assert_eq!(running.ended(), (Some(0), "delivered 1 messages\n".to_owned()));
        assert_eq!(status(&place, "sqlite:app.db")["lease"], serde_json::Value::Null);
    }
}

#[cfg(unix)]
#[test]
fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let place = migrated();
    execute(&place, "app.db", INSERT);
    let relay = "relay -D sqlite:app.db --brokers localhost:1 --until-empty --shutdown-timeout 1s";
    let mut running = Running::start(place.command(relay));
    running.says("waiting for Kafka");
    running.signal("TERM");
    let (code, stdout) = running.ended();
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("delivered 0 messages; stopped before the backlog was empty"),
        "{stdout}"
    );
}

/// The log's filter and the retention follow; other variables are named; a wrong value changes nothing.
#[cfg(unix)]
#[test]
fn a_hangup_lets_it_read_its_env_file_again() {
    let place = migrated();
    let env = place.path().join(".env");
    let begin = "OUTBOX_RETENTION=7d\nOUTBOX_LEASE_TTL=4s\n";
    std::fs::write(&env, begin).unwrap();
    let mut running = Running::start(place.command("relay -D sqlite:app.db --brokers localhost:1"));
    running.says("this relay is the active one");

    std::fs::write(&env, "OUTBOX_RETENTION=until-acknowledged\nOUTBOX_LEASE_TTL=5s\n").unwrap();
    running.signal("HUP");
    running.says("changed=\"OUTBOX_RETENTION\"");
    running.says("variables=\"OUTBOX_LEASE_TTL\"");

    std::fs::write(&env, "OUTBOX_RETENTION=soon\nOUTBOX_LEASE_TTL=5s\n").unwrap();
    running.signal("HUP");
    running.says("OUTBOX_RETENTION: write an integer");

    std::fs::write(&env, "RUST_LOG=trace\nOUTBOX_LEASE_TTL=5s\n").unwrap();
    running.signal("HUP");
    running.says("TRACE");
    running.signal("TERM");
    assert_eq!(running.ended().0, Some(0));
}
