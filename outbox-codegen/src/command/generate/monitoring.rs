//! `outbox generate alerts`, `outbox generate dashboard`: from the sections `[alerts]` and `[dashboard]` of `outbox.toml`
//! where there is one, and from options, which come first.

use std::path::{Path, PathBuf};

use super::{Output, artifact};
use crate::arguments::{GenerateAlerts, GenerateDashboard};
use crate::config::{Alerts, Config, ConfigFile, Dashboard};
use crate::failure::Failure;
use crate::{Exit, alerts, dashboard};

pub(super) fn run_alerts(arguments: &GenerateAlerts) -> Result<Exit, Failure> {
    let configuration = arguments.config.search()?;
    let usual = Alerts::default();
    let section = configured(&configuration, |config| config.alerts.as_ref());
    let path = path(
        &arguments.file,
        section.map(|(file, section)| (file, &section.file)),
    );
    let section = section.map_or(&usual, |(_, section)| section);
    let thresholds = arguments.thresholds.or(&section.thresholds());
    let runbooks = arguments.runbooks.as_ref().unwrap_or(&section.runbooks);
    rules(
        &path.unwrap_or(usual.file.clone()),
        alerts::file(&thresholds, runbooks),
    )?
    .emit(arguments.writing)
}

pub(super) fn run_dashboard(arguments: &GenerateDashboard) -> Result<Exit, Failure> {
    let configuration = arguments.config.search()?;
    let usual = Dashboard::default();
    let section = configured(&configuration, |config| config.dashboard.as_ref());
    let path = path(
        &arguments.file,
        section.map(|(file, section)| (file, &section.file)),
    );
    let section = section.map_or(&usual, |(_, section)| section);
    let alerts = configured(&configuration, |config| config.alerts.as_ref());
    let thresholds = alerts.map_or_else(Default::default, |(_, alerts)| alerts.thresholds());
    let uid = arguments
        .uid
        .clone()
        .unwrap_or_else(|| section.uid.clone().into());
    let title = arguments.title.as_ref().unwrap_or(&section.title);
    let text = dashboard::file(&arguments.thresholds.or(&thresholds), title, &uid);
    panels(&path.unwrap_or(usual.file.clone()), text)?.emit(arguments.writing)
}

/// The rules of `[alerts]`.
pub(super) fn alerts(file: &ConfigFile, section: &Alerts) -> Result<Output, Failure> {
    let text = alerts::file(&section.thresholds(), &section.runbooks);
    rules(&file.resolve(&section.file), text)
}

/// The dashboard of `[dashboard]`. What is red there is what the alerts report.
pub(super) fn dashboard(file: &ConfigFile, section: &Dashboard) -> Result<Output, Failure> {
    let alerts = file.config.alerts.as_ref();
    let thresholds = alerts.map(Alerts::thresholds).unwrap_or_default();
    let uid = String::from(section.uid.clone());
    panels(
        &file.resolve(&section.file),
        dashboard::file(&thresholds, &section.title, &uid),
    )
}

/// A section and the file that it stands in.
fn configured<'a, T>(
    file: &'a Option<ConfigFile>,
    section: impl Fn(&'a Config) -> Option<&'a T>,
) -> Option<(&'a ConfigFile, &'a T)> {
    let file = file.as_ref()?;
    Some((file, section(&file.config)?))
}

/// The path of the command line, else that of the section, which is seen from the file's directory.
fn path(given: &Option<PathBuf>, configured: Option<(&ConfigFile, &PathBuf)>) -> Option<PathBuf> {
    given
        .clone()
        .or_else(|| configured.map(|(file, path)| file.resolve(path)))
}

fn rules(path: &Path, text: String) -> Result<Output, Failure> {
    output("Prometheus' rules", path, text)
}

fn panels(path: &Path, text: String) -> Result<Output, Failure> {
    output("the dashboard", path, text)
}

fn output(name: &'static str, path: &Path, text: String) -> Result<Output, Failure> {
    Ok(Output {
        names: vec![name],
        directory: PathBuf::new(),
        artifacts: vec![artifact(path, text)?],
        former: None,
    })
}
