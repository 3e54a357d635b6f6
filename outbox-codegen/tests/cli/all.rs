//! `outbox generate --all`

use std::fs;

use serde_json::json;

use crate::Place;

const FILE: &str = "
[migrations]
database = \"postgres\"
schema = \"billing\"

[debezium]
dir = \"connect\"
payloads = \"json\"

[schemas]

[consumers.rust]
dir = \"consumers\"
";

/// A service whose file lists four sections.
fn service() -> Place {
    let place = Place::new();
    let event = json!({
        "event_type": "OrderPlacedV1", "version": 1, "topic": "orders", "aggregate": "order", "key": "id",
        "content_type": "application/json", "source": null, "occurred_at": null, "correlation_id": null,
        "headers": [], "rust_type": "shop::OrderPlacedV1", "doc": "An order was placed.",
        "schema": { "type": "object", "title": "OrderPlacedV1" },
        "location": { "file": "src/lib.rs", "line": 1 },
    });
    let catalog = json!({ "schema_version": 1, "package": "shop", "events": [event] });
    fs::write(place.path().join("catalog.json"), catalog.to_string()).unwrap();
    fs::create_dir(place.path().join("shop")).unwrap();
    fs::write(place.path().join("shop/outbox.toml"), FILE).unwrap();
    place
}

const ALL: &str = "generate --all --config shop/outbox.toml --catalog catalog.json";

#[test]
fn everything_that_is_listed_is_written_and_each_drift_is_told() {
    let place = service();
    place.run(&format!("{ALL} --check")).fails(
        3,
        &[
            "migrations/",
            "connect/setup.sql is missing",
            "schemas/",
            "consumers/events.rs is missing",
        ],
    );
    let wrote = place.run(ALL).done();
    // Seen from the file's directory, and with the tables' names said once.
    for file in [
        "shop/migrations/",
        "shop/connect/json.properties",
        "shop/schemas/",
        "shop/consumers/events.rs",
    ] {
        assert!(wrote.contains(file), "{wrote}");
    }
    let connector = fs::read_to_string(place.path().join("shop/connect/json.properties")).unwrap();
    assert!(
        connector.contains("table.include.list=billing\\\\.outbox_messages"),
        "{connector}"
    );
    assert!(!place.run(ALL).done().contains("wrote"));
    place.run(&format!("{ALL} --check")).done();

    for file in ["shop/connect/setup.sql", "shop/consumers/events.rs"] {
        fs::write(place.path().join(file), "by hand\n").unwrap();
    }
    let ran = place.run(&format!("{ALL} --check"));
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.contains("setup.sql: line 1") && ran.stderr.contains("events.rs: line 1"),
        "{}",
        ran.stderr
    );
    let ran = place.run(ALL);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(
        fs::read_to_string(place.path().join("shop/connect/setup.sql")).unwrap(),
        "by hand\n"
    );
    place.run(&format!("{ALL} --force")).done();
    place.run(&format!("{ALL} --check")).done();
}

#[test]
fn it_is_told_apart_from_what_is_generated_alone() {
    let place = service();
    place.run("generate").fails(2, &["--all"]);
    place.run("generate --check").fails(2, &["--all"]);
    place
        .run("generate --all migration --database postgres")
        .fails(2, &["--all"]);
    place.run("generate --all").fails(2, &["no outbox.toml here"]);
    fs::write(place.path().join("outbox.toml"), "").unwrap();
    place.run("generate --all").fails(2, &["lists nothing"]);
    // What does not depend on the events is written all the same.
    let ran = place.run("generate --all --config shop/outbox.toml --catalog missing.json");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("missing.json") && ran.stdout.contains("shop/connect/setup.sql"),
        "{ran:?}"
    );
}
