//! Prometheus' rules, made from the table of series: what is recorded for dashboards, and when somebody is called.

mod rules;
mod thresholds;

pub(crate) use thresholds::Thresholds;

use std::fmt::Write as _;
use std::time::Duration;

use crate::artifact::generated_by;

pub(crate) use self::rules::OBJECTIVE_SECONDS;
use self::rules::{Alert, Recorded};

/// The command that writes the file.
const COMMAND: &str = "outbox generate alerts";

/// A file of rules. `runbooks` is where the pages lie that alerts link to.
pub(crate) fn file(thresholds: &Thresholds, runbooks: &str) -> String {
    let mut text = format!("# {}\ngroups:\n- name: outbox\n  rules:\n", generated_by(COMMAND));
    for recorded in rules::recorded() {
        recorded.write(&mut text);
    }
    for alert in rules::alerts(thresholds) {
        alert.write(&mut text, runbooks.trim_end_matches('/'));
    }
    text
}

impl Recorded {
    fn write(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  - record: {}\n    expr: {}\n",
            self.name,
            quoted(&self.expr)
        );
    }
}

impl Alert {
    fn write(&self, text: &mut String, runbooks: &str) {
        let page = format!("{runbooks}/{}.md", self.page());
        let _ = write!(
            text,
            "  - alert: {}\n    expr: {}\n    for: {}\n    labels:\n      severity: {}\n    annotations:\n      \
             summary: {}\n      runbook_url: {}\n",
            self.name,
            quoted(&self.expr),
            seconds(self.lasting),
            self.severity.as_str(),
            quoted(&self.summary),
            quoted(&page),
        );
    }

    /// `OutboxNoActiveRelay` is explained by `no-active-relay`.
    fn page(&self) -> String {
        let name = self.name.trim_start_matches("Outbox");
        let mut page = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !page.is_empty() {
                page.push('-');
            }
            page.push(letter.to_ascii_lowercase());
        }
        page
    }
}

/// A string of YAML, in which a string of JSON is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const RUNBOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks");

    #[test]
    fn every_alert_has_a_runbook_and_every_runbook_its_alert() {
        let pages = rules::alerts(&Thresholds::default());
        let mut pages: Vec<String> = pages.iter().map(|alert| format!("{}.md", alert.page())).collect();
        let mut written: Vec<String> = std::fs::read_dir(Path::new(RUNBOOKS))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        pages.sort();
        written.sort();
        assert_eq!(pages, written);
    }

    #[test]
    fn names_become_pages() {
        let alerts = rules::alerts(&Thresholds::default());
        let page = |name: &str| alerts.iter().find(|alert| alert.name == name).map(Alert::page);
        assert_eq!(page("OutboxNoActiveRelay").as_deref(), Some("no-active-relay"));
    }
}
