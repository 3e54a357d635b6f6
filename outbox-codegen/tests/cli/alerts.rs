//! `outbox generate alerts`

use std::path::Path;
use std::process::{Command, Output};
use std::{fs, io};

use crate::generate::golden;
use crate::{Place, Ran};

fn promtool(arguments: &[&str], directory: &Path) -> io::Result<Output> {
    Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output()
}

#[test]
fn the_generated_rules_are_those_that_were_reviewed() {
    let place = Place::new();
    let mut command = place.command("generate alerts --check");
    command.arg("--file").arg(golden("alerts/outbox.rules.yml"));
    assert_eq!(
        Ran::from(command.output().unwrap()).done(),
        "the file is up to date\n"
    );
}

/// By Prometheus' own tool: the cases are in `tests.yml`.
#[test]
fn each_alert_fires_in_its_case_and_is_silent_in_its_neighbours() {
    let place = Place::new();
    place.run("generate alerts").done();
    fs::copy(golden("alerts/tests.yml"), place.path().join("tests.yml")).unwrap();
    for arguments in [
        ["check", "rules", "outbox.rules.yml"],
        ["test", "rules", "tests.yml"],
    ] {
        let ran = promtool(&arguments, place.path())
            .expect("promtool is there: Debian's package `prometheus` has it");
        let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{arguments:?}: {said}");
    }
}

#[test]
fn thresholds_and_runbooks_are_the_teams() {
    let place = Place::new();
    let options =
        "--backlog-age 5m --transaction-age 1h --runbooks https://example.com/runbooks/ --file team.yml";
    place.run(&format!("generate alerts {options}")).done();
    let rules = fs::read_to_string(place.path().join("team.yml")).unwrap();
    for words in [
        "outbox:backlog_oldest_age_seconds:max > 300\"",
        "outbox:oldest_transaction_seconds:max > 3600\"",
        "runbook_url: \"https://example.com/runbooks/no-active-relay.md\"",
    ] {
        assert!(rules.contains(words), "no {words} in {rules}");
    }
    place
        .run("generate alerts --backlog-age soon")
        .fails(2, &["--backlog-age", "10s"]);
}
