//! Queries that many panels have, and the names of their lines.

use outbox_runtime::metrics::Descriptor;
use outbox_runtime::metrics::series::LOG;

use super::panel::{Panel, Unit};
use crate::promql::Query;

/// What the variables of the dashboard leave.
pub(super) const OF_LOG: &str = "log=~\"$log\"";
pub(super) const OF_TOPIC: &str = "log=~\"$log\", topic=~\"$topic\"";
/// Grafana's window for rates: at least four scrapes.
pub(super) const WINDOW: &str = "$__rate_interval";
/// The time that the dashboard shows.
pub(super) const SHOWN: &str = "$__range";

/// Means of histograms.
pub(super) fn sizes(title: &'static str, unit: Unit, all: &[(&Descriptor, &str)]) -> Panel {
    all.iter()
        .fold(Panel::lines(title, unit), |panel, (series, name)| {
            let mean = Query::of(series, &[LOG]).filter(OF_LOG).mean(WINDOW);
            panel.query(series, mean, format!("{name} {{{{log}}}}"))
        })
}

pub(super) fn gauge(series: &Descriptor, by: &[&str]) -> String {
    Query::of(series, by).filter(OF_LOG).value()
}

pub(super) fn rate(series: &Descriptor, by: &[&str]) -> String {
    Query::of(series, by).filter(OF_LOG).rate(WINDOW)
}

/// Lines are named by these labels.
pub(super) fn legend(labels: &[&str]) -> String {
    let labels: Vec<_> = labels.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    labels.join(" ")
}
