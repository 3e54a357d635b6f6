//! What an exporter shows, in Prometheus' text format.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use outbox_runtime::metrics::{ALL, Kind};

/// The exporter of this process; its tests distinguish their series by the log.
pub(crate) fn exporter() -> &'static PrometheusHandle {
    static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let mut builder = PrometheusBuilder::new();
        for series in ALL.iter().filter(|series| series.kind == Kind::Histogram) {
            let name = Matcher::Full(series.name.to_owned());
            builder = builder.set_buckets_for_metric(name, series.buckets).unwrap();
        }
        builder.install_recorder().unwrap()
    })
}

/// One scrape.
pub(crate) struct Exposition {
    samples: Vec<Sample>,
    /// The type of each family.
    pub(crate) kinds: BTreeMap<String, String>,
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Exposition {
    /// Of this process.
    pub(crate) fn here() -> Self {
        Self::read(&exporter().render())
    }

    pub(crate) fn read(text: &str) -> Self {
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let kinds = kinds.filter_map(|kind| kind.split_once(' '));
        Self {
            kinds: kinds
                .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
                .collect(),
            samples: text
                .lines()
                .filter(|line| !line.starts_with('#') && !line.is_empty())
                .map(Sample::read)
                .collect(),
        }
    }

    /// The sum of all samples of this name with these labels, as far as they are numbers; none if there are none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.samples.iter().filter(|sample| sample.is(name, labels));
        found
            .map(|sample| sample.value)
            .filter(|value| !value.is_nan())
            .reduce(|sum, value| sum + value)
    }

    /// The values of a label, where the others are these.
    pub(crate) fn values_of(&self, label: &str, name: &str, labels: &[(&str, &str)]) -> Vec<String> {
        let found = self.samples.iter().filter(|sample| sample.is(name, labels));
        found
            .filter_map(|sample| sample.labels.get(label).cloned())
            .collect()
    }

    /// The families, and the labels of each.
    pub(crate) fn families(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut families = BTreeMap::new();
        for sample in &self.samples {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
                let name = sample.name.strip_suffix(suffix)?;
                self.kinds
                    .get(name)
                    .is_some_and(|kind| kind == "histogram")
                    .then_some(name)
            });
            let names = sample
                .labels
                .keys()
                .map(String::as_str)
                .filter(|label| *label != "le")
                .collect();
            families.insert(family.unwrap_or(&sample.name), names);
        }
        families
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels
            .trim_end_matches('}')
            .split("\",")
            .filter(|label| !label.is_empty());
        Self {
            name: name.to_owned(),
            labels: labels
                .map(|label| {
                    let (name, value) = label.split_once("=\"").expect("a label and its value");
                    (name.to_owned(), value.trim_end_matches('"').to_owned())
                })
                .collect(),
            value: value.parse().expect("a number"),
        }
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let has = |(label, value): &(&str, &str)| self.labels.get(*label).is_some_and(|found| found == value);
        self.name == name && labels.iter().all(has)
    }
}
