//! The table of series holds together.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{ALL, Group, Kind, Unit};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let names: HashSet<_> = ALL.iter().map(|series| series.name).collect();
    assert_eq!(names.len(), ALL.len(), "a name is there twice");
    for series in ALL {
        let name = series.name;
        assert!(name.starts_with("outbox_"), "{name}");
        assert_eq!(name.ends_with("_total"), series.kind == Kind::Counter, "{name}");
        assert_eq!(
            series.buckets.is_empty(),
            series.kind != Kind::Histogram,
            "{name}"
        );
        assert!(series.buckets.is_sorted_by(|one, next| one < next), "{name}");
        let base = name.trim_end_matches("_total");
        let unit = match series.unit {
            Unit::Count => !base.ends_with("_seconds") && !base.ends_with("_bytes"),
            Unit::Seconds => base.ends_with("_seconds"),
            Unit::Bytes => base.ends_with("_bytes"),
        };
        assert!(unit, "{name} does not name its unit");
        assert!(series.help.ends_with('.'), "{name}");
    }
}

/// The page of documentation, of which the table of series is generated.
fn reference() -> String {
    let mut page = String::from(HEAD);
    for group in Group::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| series | kind | labels | over replicas | meaning |\n| --- | --- | --- | --- | --- |\n",
            group.title()
        );
        for series in ALL.iter().filter(|series| series.group == group) {
            let labels: Vec<_> = series.labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                series.name,
                series.kind.as_str(),
                labels.join(", "),
                series.scope.aggregation(),
                series.help
            );
        }
    }
    page
}

const HEAD: &str = "\
# Metrics

<!-- Generated from outbox-runtime/src/metrics/series.rs; the tests there write it with UPDATE_DOCS=1. -->

All series, as the feature `metrics` records them. How to turn them on: [monitoring](guide/monitoring.md).

Series to `sum` over replicas count what a process did. Series of which to take the `max` are the state of the log, and
each process that reports them reports the same: a sum would count a dead letter once for each process.

| label | value |
| --- | --- |
| `log` | database and table of the log, such as `shop/outbox_messages` |
| `topic`, `event_type` | as in the row; beyond the first 100 of each: `other` |
| `outcome`, `reason`, `state` | a word, listed with its series or with the [dead letters](delivery-guarantees.md#dead-letters) |
| `consumer`, `partition` | the consumer's group, which is its name in the inbox; the partition's number |
| `client` | `relay`, or the group of a consumer |
| `version` | the version of the library |
";

#[test]
fn every_series_is_documented() {
    let reference = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(Path::new(REFERENCE), &reference).unwrap();
    }
    let written = std::fs::read_to_string(REFERENCE).unwrap_or_default();
    assert!(
        written == reference,
        "docs/metrics.md is outdated: run this test with UPDATE_DOCS=1"
    );
}
