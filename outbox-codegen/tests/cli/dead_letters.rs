//! `outbox dead-letters` on SQLite.

use rdkafka::mocking::MockCluster;
use serde_json::Value;

use crate::sqlite::execute;
use crate::{Place, Running, status};

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";
const THREE: &str = "00000000-0000-0000-0000-000000000003";

const DEAD_LETTERS: &str = r#"
    INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary,
        content_type, headers, occurred_at, state, reason, error, attempts, first_failed_at, last_failed_at)
    VALUES
    ('00000000-0000-0000-0000-000000000001', 7, 'order', 'o-1', 'OrderPlacedV1', 'orders', '{"a":1}', NULL,
        'application/json', '{"x":"y"}', '2026-01-01T00:00:00.000Z', 'dead', 'too_large', 'it is "large"', 1,
        '2026-01-01T00:00:01.000Z', '2026-01-01T00:00:02.000Z'),
    ('00000000-0000-0000-0000-000000000002', 8, 'order', 'o-2', 'OrderPaidV1', 'orders', NULL, x'00ff',
        'application/octet-stream', '{}', '2026-01-02T00:00:00.000Z', 'dead', 'timestamp', 'too old', 3,
        '2026-01-02T00:00:01.000Z', '2026-01-02T00:00:02.000Z'),
    ('00000000-0000-0000-0000-000000000003', 9, 'order', 'o-1', 'OrderPlacedV1', 'missing', NULL, NULL,
        'application/json', '{}', '2026-01-03T00:00:00.000Z', 'parked', 'topic_unavailable', 'not there', 1,
        '2026-01-03T00:00:01.000Z', '2026-01-03T00:00:02.000Z')"#;

fn place() -> Place {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    execute(&place, "app.db", DEAD_LETTERS);
    place
}

fn run(place: &Place, arguments: &str) -> crate::Ran {
    place.run(&format!("dead-letters {arguments} -D sqlite:app.db"))
}

fn listed(place: &Place, filters: &str) -> Vec<String> {
    let json: Vec<Value> =
        serde_json::from_str(&run(place, &format!("list --json {filters}")).done()).unwrap();
    json.iter()
        .map(|letter| letter["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_list_has_the_shape_that_programs_rely_on() {
    let place = place();
    let json: Value = serde_json::from_str(&run(&place, "list --json --limit 1").done()).unwrap();
    let expected = serde_json::json!([{
        "id": ONE, "seq": 7, "topic": "orders", "key": "o-1", "event_type": "OrderPlacedV1", "state": "dead",
        "error": "it is \"large\"", "reason": "too_large", "attempts": 1,
        "first_failed_at": "2026-01-01T00:00:01.000Z", "last_failed_at": "2026-01-01T00:00:02.000Z",
    }]);
    assert_eq!(json, expected);
    let text = run(&place, "list").done();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("too_large: it is \"large\""), "{text}");
    place.run("migrate -D sqlite:empty.db").done();
    assert_eq!(
        place.run("dead-letters list --json -D sqlite:empty.db").done(),
        "[]\n"
    );
}

#[test]
fn filters_have_to_hold_together() {
    let place = place();
    let cases = [
        ("", vec![ONE, TWO, THREE]),
        (THREE, vec![THREE]),
        ("--topic orders", vec![ONE, TWO]),
        ("--key o-1", vec![ONE, THREE]),
        ("--key o-1 --topic orders", vec![ONE]),
        ("--event-type OrderPaidV1", vec![TWO]),
        ("--state parked", vec![THREE]),
        ("--since 2026-01-02T00:00:01Z", vec![TWO, THREE]),
        ("--until 2026-01-02T00:00:01Z", vec![ONE]),
        (
            "--since 2026-01-02T01:00:01+01:00 --until 2026-01-03T00:00:00Z",
            vec![TWO],
        ),
        ("--topic none", vec![]),
    ];
    for (filters, expected) in cases {
        assert_eq!(listed(&place, filters), expected, "{filters}");
    }
}

#[test]
fn one_is_shown_with_what_it_says() {
    let place = place();
    let text = run(&place, &format!("show {ONE}")).done();
    assert!(
        text.contains(r#"{"a":1}"#) && text.contains(r#"{"x":"y"}"#),
        "{text}"
    );
    let json: Value = serde_json::from_str(&run(&place, &format!("show {TWO} --json")).done()).unwrap();
    assert_eq!(
        (&json[0]["payload_hex"], &json[0]["payload"], &json[0]["attempts"]),
        (&Value::from("00ff"), &Value::Null, &Value::from(3))
    );
    let none = "00000000-0000-0000-0000-00000000000f";
    run(&place, &format!("show {none}")).fails(1, &[none, "dead-letters list"]);
}

#[test]
fn a_command_that_changes_something_needs_a_selection() {
    let place = place();
    for command in ["replay", "discard"] {
        run(&place, command).fails(2, &["--all", "--topic"]);
        run(&place, &format!("{command} --all --topic orders")).fails(2, &["--all"]);
        run(&place, &format!("{command} no-id")).fails(2, &["no-id"]);
    }
    place
        .run("dead-letters list -D sqlite:none.db")
        .fails(1, &["none.db"]);
    assert_eq!(listed(&place, ""), [ONE, TWO, THREE]);
}

#[test]
fn discarding_spares_what_is_parked_and_what_is_to_be_sent_again() {
    let place = place();
    let dry = run(&place, "discard --all --dry-run").done();
    assert_eq!(
        (dry.as_str(), listed(&place, "").len()),
        ("2 messages would be discarded\n", 3)
    );
    assert_eq!(
        run(&place, &format!("replay {TWO}")).done(),
        "1 messages will be sent again by the active relay\n"
    );
    assert_eq!(run(&place, "discard --all --json").done(), "{\"discarded\":1}\n");
    assert_eq!(listed(&place, ""), [TWO, THREE]);
    let refused = run(&place, &format!("discard {THREE}"));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--parked"), "{refused:?}");
    assert_eq!(
        run(&place, &format!("discard {THREE} --parked")).done(),
        "1 messages were discarded\n"
    );
    assert_eq!(listed(&place, ""), [TWO]);
}

/// With a broker that takes everything: what is asked for is sent, what is parked goes out by itself.
#[test]
fn a_replay_is_carried_out_by_the_relay() {
    let place = place();
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["orders", "missing"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let replay = run(&place, "replay --key o-1 --wait --timeout 1s");
    assert_eq!(
        (replay.code, replay.stdout.as_str()),
        (Some(1), ""),
        "nobody relays: {replay:?}"
    );
    let mut relay =
        Running::start(place.command(
            "relay -D sqlite:app.db --brokers mock -X test.mock.num.brokers=1 --assume-topic-limits",
        ));
    relay.says("the active one");
    // Who asked has given up waiting; the wish stands.
    until(|| !listed(&place, "").contains(&ONE.to_owned()));
    assert_eq!(
        run(&place, "replay --topic orders --wait").done(),
        "1 messages were delivered\n"
    );
    until(|| listed(&place, "").is_empty());
    let url = "sqlite:app.db";
    assert_eq!(status(&place, url)["dead_letters"]["parked"], 0);
    relay.signal("TERM");
    let (code, stdout) = relay.ended();
    assert_eq!((code, stdout.as_str()), (Some(0), "delivered 3 messages\n"));
}

/// Waits for a state of the dead letters.
fn until(holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + crate::outbox::PATIENCE;
    while !holds() {
        assert!(
            std::time::Instant::now() < deadline,
            "the dead letters do not go out"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
