//! `outbox.toml`: what it may contain, and how errors in it are reported.

use std::fs;

use serde_json::{Value, json};

use crate::{Place, Ran};

/// Reads `outbox.toml` with this text; the broker is never asked.
fn read(text: &str) -> Ran {
    let place = Place::new();
    fs::write(place.path().join("outbox.toml"), text).unwrap();
    fs::write(
        place.path().join("catalog.json"),
        json!({ "schema_version": 1, "package": "shop", "events": [] }).to_string(),
    )
    .unwrap();
    place.run("topics plan --catalog catalog.json --brokers 127.0.0.1:1 --connect-timeout 100ms")
}

/// All that a file may say.
const WHOLE: &str = include_str!("golden/config/whole.toml");

#[test]
fn the_schema_is_the_one_that_was_reviewed_and_takes_what_the_program_takes() {
    let golden = format!("{}/tests/cli/golden/config", env!("CARGO_MANIFEST_DIR"));
    let place = Place::new();
    let mut command = place.command("generate config-schema --check --dir");
    let ran = Ran::from(command.arg(&golden).output().unwrap());
    assert_eq!(ran.done(), "the file is up to date\n");

    let schema: Value =
        serde_json::from_str(&fs::read_to_string(format!("{golden}/outbox.schema.json")).unwrap()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let valid = |text: &str| {
        let value: Value = toml::from_str(text).unwrap();
        validator.is_valid(&value)
    };
    for text in ["", WHOLE, "[topics.defaults]\npartitions = 3\n"] {
        let value: Value = toml::from_str(text).unwrap();
        validator.validate(&value).unwrap();
        // It goes on to the broker, which is not there.
        assert_eq!(read(text).code, Some(4), "{text}");
    }
    for (text, _) in WRONG {
        assert!(!valid(text), "the schema takes {text}");
    }
}

/// Wrong files, and what is said of them.
const WRONG: [(&str, &[&str]); 12] = [
    (
        "\n\n[topic.defaults]\npartitions = 3\n",
        &["outbox.toml:3: unknown key `topic`", "did you mean `topics`?"],
    ),
    (
        "[topics.\"a.b\"]\npartitons = 3\n",
        &["outbox.toml:2:", "[topics.\"a.b\"]", "did you mean `partitions`?"],
    ),
    (
        "[topics.defaults]\nmin.insync.replicas = 2\n",
        &["outbox.toml:2:", "did you mean `min_insync_replicas`?"],
    ),
    (
        "[package]\ncolor = 1\n",
        &["`color` in [package]", "manifest_path"],
    ),
    (
        "[topics.defaults]\npartitions = \"three\"\n",
        &["outbox.toml:2:", "three"],
    ),
    (
        "[topics.defaults]\npartitions = 0\n",
        &["outbox.toml:2:", "nonzero"],
    ),
    (
        "[topics.defaults]\n\nretention = \"soon\"\n",
        &["outbox.toml:3:", "soon", "7days"],
    ),
    (
        "[topics.defaults]\ncleanup_policy = \"compat\"\n",
        &["outbox.toml:2:", "compat", "compact"],
    ),
    (
        "[alerts]\nbacklog_old = \"1m\"\n",
        &[
            "outbox.toml:2:",
            "`backlog_old` in [alerts]",
            "did you mean `backlog_age`?",
        ],
    ),
    (
        "[alerts]\ntransaction_age = \"soon\"\n",
        &["outbox.toml:2:", "`soon` is not a duration", "10s"],
    ),
    (
        "[dashboard]\nuid = \"my shop\"\n",
        &["outbox.toml:2:", "`my shop`", "outbox-shop"],
    ),
    (
        "[migrations]\ndatabase = \"mysql\"\n",
        &["outbox.toml:2:", "mysql", "postgres"],
    ),
];

#[test]
fn what_is_wrong_is_reported_with_its_line_and_a_suggestion() {
    for (text, words) in WRONG {
        read(text).fails(2, words);
    }
    read("[topics.defaults]\nx = 1\n[packag]\n[topics.a]\ny = 2\n")
        .fails(2, &["toml:2:", "toml:3:", "toml:5:"]);
    read("[topics.defaults").fails(2, &["outbox.toml:1:"]);
    read("[topics.a.settings]\n\"retention.ms\" = 1\n").fails(2, &["outbox.toml:2:", "write `retention`"]);
}

#[test]
fn a_file_is_found_here_or_beside_the_manifest_or_where_it_is_named() {
    let place = Place::new();
    let plan = "topics plan --brokers 127.0.0.1:1 --connect-timeout 100ms";
    place.run(plan).fails(
        2,
        &["no outbox.toml in this directory", "--config", "outbox init"],
    );
    place
        .run(&format!("{plan} --config other.toml"))
        .fails(2, &["other.toml", "check --config"]);
    fs::create_dir(place.path().join("shop")).unwrap();
    fs::write(place.path().join("shop/outbox.toml"), "color = 1").unwrap();
    place
        .run(&format!("{plan} --manifest-path shop/Cargo.toml"))
        .fails(2, &["shop/outbox.toml:1:"]);
    place
        .run(&format!("{plan} --config shop/outbox.toml"))
        .fails(2, &["shop/outbox.toml:1:"]);
}
