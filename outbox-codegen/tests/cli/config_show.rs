//! `outbox config show`: values, where they come from, and no secret.

use std::fs;

use serde_json::Value;

use crate::{Place, Ran};

/// With these variables, and none of ours from outside.
fn show(place: &Place, arguments: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = place.command(&format!("--no-dotenv config show {arguments}"));
    for (name, _) in std::env::vars() {
        if name.starts_with("OUTBOX_") {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied());
    command.output().unwrap().into()
}

fn line<'a>(stdout: &'a str, begins: &str) -> &'a str {
    let line = stdout.lines().find(|line| line.starts_with(begins));
    line.unwrap_or_else(|| panic!("no {begins:?} in {stdout}"))
}

#[test]
fn each_value_names_its_source() {
    let place = Place::new();
    let toml = "topic_prefix = \"dev.\"\n[alerts]\nleader_changes = 5\n[topics.defaults]\npartitions = 3\n";
    fs::write(place.path().join("outbox.toml"), toml).unwrap();
    let stdout = show(&place, "", &[]).done();
    for wanted in [
        "# outbox.toml",
        "topic_prefix = \"dev.\"  # file",
        "alerts.leader_changes = 5  # file",
        "alerts.consumer_lag = 100  # default",
        "topics.defaults.partitions = 3  # file",
        "dashboard  # not set",
        "OUTBOX_LEASE_TTL  # not set",
    ] {
        assert_eq!(line(&stdout, wanted), wanted);
    }

    let variables = [
        ("OUTBOX_TOPIC_PREFIX", "prod."),
        ("OUTBOX_LEASE_TTL", "9s"),
        ("OUTBOX_POLL_MAX", "1s"),
        ("DATABASE_URL", "postgres://shop:geheim@db/shop"),
        (
            "OUTBOX_KAFKA_PROPERTIES",
            "sasl.username=shop\nsasl.password=geheim",
        ),
    ];
    let relay = "-- relay --lease-ttl 5s -X ssl.key.password=geheim";
    let stdout = show(&place, relay, &variables).done();
    for wanted in [
        "topic_prefix = \"prod.\"  # OUTBOX_TOPIC_PREFIX",
        "DATABASE_URL = postgres:***",
        "OUTBOX_KAFKA_PROPERTIES = sasl.username=shop sasl.password=***",
        "--database-url = postgres:***  # DATABASE_URL",
        "--lease-ttl = 5s  # flag",
        "--poll-max = 1s  # OUTBOX_POLL_MAX",
        "--statement-timeout = 25s  # default",
        "--source  # not set",
        "-X = ssl.key.password=***  # flag",
    ] {
        assert_eq!(line(&stdout, wanted), wanted);
    }
    assert!(!stdout.contains("geheim"), "{stdout}");
    let json: Value = serde_json::from_str(&show(&place, "--json", &variables).done()).unwrap();
    let prefix = json["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["key"] == "topic_prefix")
        .unwrap();
    assert_eq!(
        (&prefix["value"], &prefix["source"]),
        (&"prod.".into(), &"environment".into())
    );
}

#[test]
fn errors_are_reported() {
    let place = Place::new();
    let shown = show(&place, "", &[("OUTBOX_LEASE_TLL", "9s")]);
    assert_eq!(shown.code, Some(0));
    assert!(
        shown
            .stderr
            .contains("OUTBOX_LEASE_TLL; did you mean OUTBOX_LEASE_TTL?"),
        "{shown:?}"
    );
    show(&place, "-- relay --lease-tll 9s", &[]).fails(2, &["--lease-tll"]);
    fs::write(place.path().join("outbox.toml"), "[alert]\n").unwrap();
    show(&place, "", &[]).fails(2, &["did you mean `alerts`?"]);
}

/// A flag wins over a variable, and a property that a guarantee rests on is refused wherever it stands.
#[test]
fn variables_are_read_by_the_relay() {
    let place = Place::new();
    let relay = |arguments: &str, name: &str, value: &str| -> Ran {
        let mut command = place.command(&format!(
            "relay -D sqlite:none.db --brokers 127.0.0.1:1 {arguments}"
        ));
        command.env(name, value).output().unwrap().into()
    };
    relay("", "OUTBOX_LEASE_TTL", "soon").fails(2, &["soon", "--lease-ttl"]);
    relay("--lease-ttl 9s", "OUTBOX_LEASE_TTL", "soon").fails(1, &["there is no database"]);
    relay("", "OUTBOX_KAFKA_PROPERTIES", "acks=1").fails(2, &["acks"]);
    relay("", "OUTBOX_KAFKA_PROPERTIES", "geheim").fails(2, &["has no `=`", "OUTBOX_KAFKA_PROPERTIES"]);
}
