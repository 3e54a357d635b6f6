//! A real Prometheus scrapes a real relay and this process, evaluates the generated rules, and is asked what the
//! generated dashboard asks.
//!
//! Each alert is provoked by its fault on real servers, and seen firing and resolving through Prometheus' API. The
//! rules are those of `outbox generate alerts`, with every duration divided by 60. Each fault has a database of its
//! own, and with it a `log` of its own, so that all of them happen at the same time.

mod faults;
mod outages;
mod panels;
mod replicas;
mod watch;

use std::collections::BTreeSet;
use std::fs;

use outbox_tests::program::{Ran, command};
use outbox_tests::servers::{KafkaServer, Prometheus};
use tokio::net::TcpListener;

use self::watch::Watch;
use crate::exposition::exporter;
use crate::program::port;
use crate::scene::{Scene, emit_directly};

/// Thresholds that are passed within seconds.
const OUTBOX_TOML: &str = "[alerts]\n\
    backlog_age = \"5s\"\n\
    backlog_records = 10\n\
    table_bytes = 1_000_000_000\n\
    transaction_age = \"1s\"\n\
    consumer_lag = 5\n\
    leader_changes = 2\n\
    [dashboard]\n";

/// What the commands write from that file: the rules and the dashboard.
async fn generated() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("outbox.toml"), OUTBOX_TOML).unwrap();
    for what in ["alerts", "dashboard"] {
        let mut command = command(&format!("generate {what}"));
        Ran::of(command.current_dir(folder.path())).await.done();
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("outbox.rules.yml"), read("outbox.dashboard.json"))
}

/// The rules with every duration divided by 60: a minute becomes a second.
fn sped_up(rules: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':' | '.');
    let mut faster = String::new();
    let mut rest = rules;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter| is_word(letter) != is_word(first));
        let (word, following) = rest.split_at(end.unwrap_or(rest.len()));
        match milliseconds(word) {
            Some(duration) => faster += &format!("{}ms", duration / 60),
            None => faster += word,
        }
        rest = following;
    }
    faster
}

/// Of a duration in seconds, minutes or hours, and of nothing else.
fn milliseconds(word: &str) -> Option<u64> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}

#[test]
fn durations_become_shorter_and_names_stay() {
    assert_eq!(
        sped_up("record: a:rate5m\nexpr: \"rate(b[5m]) offset 15m > 0.5 * 3\"\nfor: 60s\n"),
        "record: a:rate5m\nexpr: \"rate(b[5000ms]) offset 15000ms > 0.5 * 3\"\nfor: 1000ms\n"
    );
}

/// The names of the alerts that the rules define.
fn alerts(rules: &str) -> BTreeSet<String> {
    let names = rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// Serves what this process records.
fn serve(listener: TcpListener) {
    let metrics = axum::routing::get(async || exporter().render());
    let routes = axum::Router::new().route("/metrics", metrics);
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_fires_and_resolves_and_every_panel_shows_data() {
    let ((rules, dashboard), mut broker) = tokio::join!(generated(), KafkaServer::start());
    let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, relay) = (here.local_addr().unwrap().port(), port());
    let jobs: [(&str, &[u16]); 2] = [("service", &[own]), ("relay", &[relay])];
    let watch = Watch::new(Prometheus::start(&sped_up(&rules), &jobs).await);

    // Nobody answers so far: the exporter is absent.
    watch.fires("OutboxNotMonitored", &[]).await;
    serve(here);
    let past_the_log = Scene::new().await;
    emit_directly(&past_the_log, "direct").await;
    tokio::join!(
        async {
            outages::duplicates(&watch, &broker).await;
            outages::broker_down(&watch, &mut broker, relay).await;
        },
        watch.ends("OutboxNotMonitored", &[]),
        faults::dead_letters(&watch),
        faults::suspended_topic(&watch),
        faults::leadership(&watch),
        faults::partitions(&watch),
        faults::growing_table(&watch),
        faults::long_transaction(&watch),
        faults::stuck_consumer(&watch),
    );

    assert_eq!(watch.have_resolved(), alerts(&rules));
    panels::all_show_data(watch.prometheus(), &dashboard).await;
    panels::series_exist(watch.prometheus(), &rules, &dashboard).await;
}
