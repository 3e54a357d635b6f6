//! A Prometheus of a test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use url::Url;

use super::folder::ServerFolder;
use super::port::free_port;
use super::process::ServerProcess;
use crate::wait_until;

const START: Duration = Duration::from_secs(60);

/// How often targets are scraped and rules evaluated.
const PACE: &str = "500ms";

/// A Prometheus that scrapes and evaluates twice a second, in a temporary folder, on a port of the loopback address.
/// Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    url: Url,
    client: Client,
    // Before the folder: fields are dropped in order, and the process writes there.
    process: ServerProcess,
    _folder: ServerFolder,
}

/// A value and its labels.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Without the name of the series.
    pub labels: BTreeMap<String, String>,
    /// May be `NaN`.
    pub value: f64,
}

/// An alert with the labels that Prometheus gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    /// Name of the rule.
    pub name: String,
    /// All labels but the name.
    pub labels: BTreeMap<String, String>,
}

impl Alert {
    /// Whether it is of this rule and has these labels.
    pub fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let has = |(label, value): &(&str, &str)| self.labels.get(*label).is_some_and(|found| found == value);
        self.name == name && labels.iter().all(has)
    }
}

impl Prometheus {
    /// Starts one with a file of rules, and with these ports of the loopback address as targets: each job and its ports.
    ///
    /// # Panics
    /// If it does not start: Debian's package `prometheus` has the program.
    pub async fn start(rules: &str, jobs: &[(&str, &[u16])]) -> Self {
        let folder = ServerFolder::new("prometheus", None);
        let port = free_port();
        fs::write(folder.file("rules.yml"), rules).expect("the rules can be written");
        let config = folder.file("prometheus.yml");
        fs::write(&config, configuration(jobs)).expect("the configuration can be written");
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.file("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_owned(),
        ];
        let mut process = ServerProcess::start(&program(), &arguments, None, &folder.file("log"));
        let url: Url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
        let client = Client::new();
        let ready = url.join("-/ready").expect("a path");
        wait_until("Prometheus to be ready", START, || {
            assert!(process.exited().is_none(), "it ended:\n{}", process.last_words());
            let asked = client.get(ready.clone()).send();
            async move { asked.await.ok()?.status().is_success().then_some(()) }
        })
        .await;
        Self {
            url,
            client,
            process,
            _folder: folder,
        }
    }

    /// The values of an expression now.
    ///
    /// # Panics
    /// If Prometheus refuses it.
    pub async fn query(&self, expression: &str) -> Vec<Sample> {
        let data = self.ask("api/v1/query", &[("query", expression)]).await;
        let all = data["result"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|one| Sample {
                labels: labels(&one["metric"]),
                value: number(&one["value"]),
            })
            .collect()
    }

    /// The values of an expression over the last `window` of time, one series after the other, as seconds since 1970 and
    /// numbers.
    ///
    /// # Panics
    /// If Prometheus refuses it.
    pub async fn range(&self, expression: &str, window: Duration, step: Duration) -> Vec<Series> {
        let now = chrono::Utc::now().timestamp_millis() as f64 / 1000.0;
        let (start, end, step) = (
            (now - window.as_secs_f64()).to_string(),
            now.to_string(),
            step.as_secs_f64().to_string(),
        );
        let data = self
            .ask(
                "api/v1/query_range",
                &[
                    ("query", expression),
                    ("start", &start),
                    ("end", &end),
                    ("step", &step),
                ],
            )
            .await;
        let all = data["result"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|one| {
                let values = one["values"].as_array().cloned().unwrap_or_default();
                let point = |value: &Value| (value[0].as_f64().unwrap_or_default(), number(value));
                (labels(&one["metric"]), values.iter().map(point).collect())
            })
            .collect()
    }

    /// The names of all series.
    pub async fn names(&self) -> BTreeSet<String> {
        let data = self.ask("api/v1/label/__name__/values", &[]).await;
        let names = data.as_array().cloned().unwrap_or_default();
        let text = |name: &Value| name.as_str().map(str::to_owned);
        names.iter().filter_map(text).collect()
    }

    /// The alerts that fire now.
    pub async fn firing(&self) -> BTreeSet<Alert> {
        let data = self.ask("api/v1/alerts", &[]).await;
        let all = data["alerts"].as_array().cloned().unwrap_or_default();
        let firing = all.iter().filter(|alert| alert["state"] == "firing");
        firing
            .map(|alert| {
                let mut labels = labels(&alert["labels"]);
                let name = labels.remove("alertname").unwrap_or_default();
                Alert { name, labels }
            })
            .collect()
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = self.url.join(path).expect("a path");
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = self.client.get(url).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}:\n{}", self.process.last_words()));
        let mut answer: Value = answer.json().await.expect("Prometheus answers in JSON");
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].take()
    }
}

/// Labels, and values at points of time.
pub type Series = (BTreeMap<String, String>, Vec<(f64, f64)>);

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("prometheus"));
    let found = places.find(|place| Path::new(place).exists());
    found.expect("`prometheus` is there: Debian's package of this name has it")
}

fn configuration(jobs: &[(&str, &[u16])]) -> String {
    let mut text = format!(
        "global: {{scrape_interval: {PACE}, scrape_timeout: {PACE}, evaluation_interval: {PACE}}}\n\
         rule_files: [rules.yml]\nscrape_configs:\n"
    );
    for (job, ports) in jobs {
        let targets: Vec<_> = ports.iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
        let targets = targets.join(", ");
        text += &format!("- {{job_name: {job}, static_configs: [{{targets: [{targets}]}}]}}\n");
    }
    text
}

fn labels(metric: &Value) -> BTreeMap<String, String> {
    let labels = metric.as_object().into_iter().flatten();
    let labels = labels.filter(|(name, _)| *name != "__name__");
    labels
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// `[time, "number"]`
fn number(value: &Value) -> f64 {
    let text = value[1].as_str().unwrap_or_default();
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().expect("a number"),
    }
}
