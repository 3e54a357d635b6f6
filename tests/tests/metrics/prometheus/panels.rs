//! What the generated dashboard asks Prometheus.

use std::collections::BTreeSet;
use std::time::Duration;

use outbox_runtime::metrics::{ALL, Kind};
use outbox_tests::servers::Prometheus;
use serde_json::Value;

/// As long as any run.
const RUN: Duration = Duration::from_secs(600);

/// The queries of all panels and their titles, with Grafana's variables replaced.
pub(super) fn queries(dashboard: &str) -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$__rate_interval", "10s").replace("$__range", "1h");
            let query = query.replace("$log", ".*").replace("$topic", ".*");
            assert!(!query.contains('$'), "another variable in {query}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

/// Each query had a number at some time of the run.
pub(super) async fn all_show_data(prometheus: &Prometheus, dashboard: &str) {
    let queries = queries(dashboard);
    assert!(queries.len() >= 60, "{} queries", queries.len());
    let mut empty = Vec::new();
    for (title, query) in queries {
        let series = prometheus.range(&query, RUN, Duration::from_secs(1)).await;
        let mut values = series.iter().flat_map(|(_, values)| values);
        if !values.any(|(_, value)| !value.is_nan()) {
            empty.push(format!("{title}: {query}"));
        }
    }
    assert!(empty.is_empty(), "no data:\n{}", empty.join("\n"));
}

/// What rules and panels ask for is there under the very name, and what is there is in the table of series.
pub(super) async fn series_exist(prometheus: &Prometheus, rules: &str, dashboard: &str) {
    let there = prometheus.names().await;
    let panels: String = queries(dashboard)
        .into_iter()
        .map(|(_, query)| query + "\n")
        .collect();
    let rules = rules
        .lines()
        .filter(|line| line.trim_start().starts_with("expr:"));
    let all = rules.collect::<Vec<_>>().join("\n") + &panels;
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':');
    let used: BTreeSet<&str> = all
        .split(|letter| !is_word(letter))
        .filter(|word| word.starts_with("outbox_") || word.starts_with("outbox:"))
        .collect();
    let missing: Vec<_> = used.iter().filter(|name| !there.contains(**name)).collect();
    assert!(used.len() > 60 && missing.is_empty(), "{missing:?}");

    let mut documented = BTreeSet::new();
    for series in ALL {
        match series.kind {
            Kind::Counter | Kind::Gauge => drop(documented.insert(series.name.to_owned())),
            Kind::Histogram => {
                documented.extend(["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", series.name)))
            }
        }
    }
    let exported: BTreeSet<String> = there
        .into_iter()
        .filter(|name| name.starts_with("outbox_"))
        .collect();
    let unknown: Vec<_> = exported.difference(&documented).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
