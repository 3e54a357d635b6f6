//! `outbox generate dashboard`, and what `outbox.toml` says of it and of the alerts.

use std::collections::BTreeSet;
use std::fs;

use outbox_runtime::metrics::{ALL, Kind};
use serde_json::Value;

use crate::Place;

fn dashboard() -> Value {
    let place = Place::new();
    place.run("generate dashboard").done();
    place.run("generate dashboard --check").done();
    let text = fs::read_to_string(place.path().join("outbox.dashboard.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// What Grafana's classic model asks for.
#[test]
fn it_is_one_of_grafana() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], 41);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["type"], "datasource");
    assert_eq!(variables[0]["query"], "prometheus");
    let (mut ids, mut cells, mut rows) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in panels(&dashboard) {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24 && at("w") > 0 && at("h") > 0, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{} lies over another panel", panel["title"]);
            }
        }
        if panel["type"] == "row" {
            rows.push(panel["title"].as_str().unwrap());
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        let ids: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
        assert_eq!(ids.len(), targets.len(), "{panel}");
        assert!(!targets.is_empty(), "{panel}");
    }
    let wanted = [
        "Overview",
        "By topic",
        "Relay",
        "Writing",
        "Consumers",
        "PostgreSQL",
        "librdkafka",
    ];
    assert_eq!(rows, wanted);
}

#[test]
fn every_query_asks_for_series_that_exist() {
    let mut names = BTreeSet::new();
    for series in ALL {
        match series.kind {
            Kind::Counter | Kind::Gauge => drop(names.insert(series.name.to_owned())),
            Kind::Histogram => {
                names.extend(["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", series.name)))
            }
        }
    }
    let dashboard = dashboard();
    for target in panels(&dashboard)
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
    {
        let query = target["expr"].as_str().unwrap();
        let words = query.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let used: Vec<_> = words.filter(|word| word.starts_with("outbox_")).collect();
        assert!(!used.is_empty(), "{query}");
        for name in used {
            assert!(names.contains(name), "{name} in {query}");
        }
    }
}

#[test]
fn outbox_toml_has_thresholds_for_both() {
    let place = Place::new();
    let file = "[alerts]\nfile = \"rules.yml\"\nbacklog_age = \"5m\"\n\n[dashboard]\nfile = \"grafana/shop.json\"\ntitle = \"Shop\"\nuid = \"shop\"\n";
    fs::write(place.path().join("outbox.toml"), file).unwrap();
    place.run("generate --all").done();
    place.run("generate --all --check").done();
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert!(read("rules.yml").contains("outbox:backlog_oldest_age_seconds:max > 300\""));
    let dashboard: Value = serde_json::from_str(&read("grafana/shop.json")).unwrap();
    assert_eq!(
        (dashboard["title"].as_str(), dashboard["uid"].as_str()),
        (Some("Shop"), Some("shop"))
    );
    let oldest = panels(&dashboard)
        .iter()
        .find(|panel| panel["title"] == "Oldest message")
        .unwrap();
    assert_eq!(
        oldest["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"],
        300.0
    );
    fs::write(
        place.path().join("outbox.toml"),
        "[alerts]\nbacklog_age = \"10m\"\n",
    )
    .unwrap();
    place
        .run("generate --all --check")
        .fails(3, &["outbox.rules.yml"]);
}

/// Each command alone reads what `generate --all` reads; options come first.
#[test]
fn outbox_toml_holds_for_each_command_alone() {
    let place = Place::new();
    let file = "[alerts]\nfile = \"rules.yml\"\nrunbooks = \"https://example.com\"\nbacklog_age = \"5m\"\nconsumer_lag = 7\n\n[dashboard]\nfile = \"grafana/shop.json\"\ntitle = \"Shop\"\nuid = \"shop\"\n";
    fs::write(place.path().join("outbox.toml"), file).unwrap();
    place.run("generate alerts").done();
    place.run("generate dashboard").done();
    place.run("generate --all --check").done();
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert!(read("rules.yml").contains("https://example.com/backlog-old.md"));

    place
        .run("generate alerts --backlog-age 2m --file other.yml")
        .done();
    let rules = read("other.yml");
    assert!(rules.contains("outbox:backlog_oldest_age_seconds:max > 120\""));
    assert!(rules.contains("(outbox_consumer_lag_records) > 7 "), "{rules}");
    place
        .run("generate dashboard --title Till --file other.json")
        .done();
    let dashboard: Value = serde_json::from_str(&read("other.json")).unwrap();
    assert_eq!(
        (dashboard["title"].as_str(), dashboard["uid"].as_str()),
        (Some("Till"), Some("shop"))
    );
    assert!(read("other.json").contains("300.0"));

    // The file that is named, whose paths are seen from its directory.
    fs::create_dir(place.path().join("team")).unwrap();
    fs::write(
        place.path().join("team/outbox.toml"),
        "[alerts]\nbacklog_age = \"9m\"\n",
    )
    .unwrap();
    place.run("generate alerts --config team/outbox.toml").done();
    assert!(read("team/outbox.rules.yml").contains("outbox:backlog_oldest_age_seconds:max > 540\""));
    fs::write(
        place.path().join("outbox.toml"),
        "[alerts]\nbacklog_age = \"soon\"\n",
    )
    .unwrap();
    place
        .run("generate alerts")
        .fails(2, &["outbox.toml:2", "`soon` is not a duration"]);
}
