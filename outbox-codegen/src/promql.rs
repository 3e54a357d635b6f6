//! Queries of PromQL for the series of the table.

use outbox_runtime::metrics::{Descriptor, Kind, Scope};

/// A query for one series over all processes that have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    series: &'a Descriptor,
    filter: &'a str,
    by: &'a [&'a str],
}

impl<'a> Query<'a> {
    /// All of the series, one value for each combination of these labels.
    pub(crate) fn of(series: &'a Descriptor, by: &'a [&'a str]) -> Self {
        Self {
            series,
            filter: "",
            by,
        }
    }

    /// Only samples with these labels, such as `log=~"shop.*"`.
    pub(crate) fn filter(mut self, filter: &'a str) -> Self {
        self.filter = filter;
        self
    }

    /// The value of a gauge.
    pub(crate) fn value(self) -> String {
        self.aggregated(&self.selected(""))
    }

    /// What a counter grows by in a second, over this window.
    pub(crate) fn rate(self, window: &str) -> String {
        self.grown("rate", window)
    }

    /// What a counter grew by in this window.
    pub(crate) fn increase(self, window: &str) -> String {
        self.grown("increase", window)
    }

    fn grown(self, function: &str, window: &str) -> String {
        debug_assert!(self.series.scope == Scope::Process, "{}", self.series.name);
        self.aggregated(&format!("{function}({}[{window}])", self.selected("")))
    }

    /// A quantile of a histogram.
    pub(crate) fn quantile(self, quantile: f64, window: &str) -> String {
        debug_assert!(self.series.kind == Kind::Histogram, "{}", self.series.name);
        let by = [self.by, &["le"]].concat().join(", ");
        let buckets = self.selected("_bucket");
        format!("histogram_quantile({quantile}, sum by ({by}) (rate({buckets}[{window}])))")
    }

    /// The mean of a histogram's values.
    pub(crate) fn mean(self, window: &str) -> String {
        let rate = |suffix| self.aggregated(&format!("rate({}[{window}])", self.selected(suffix)));
        format!("{} / {}", rate("_sum"), rate("_count"))
    }

    /// The share of a histogram's values above this bucket's bound, from 0 to 1.
    pub(crate) fn share_above(self, bound: f64, window: &str) -> String {
        debug_assert!(self.series.buckets.contains(&bound), "{}", self.series.name);
        let rate = |selected: String| self.aggregated(&format!("rate({selected}[{window}])"));
        let filter = match self.filter {
            "" => format!("le=\"{bound}\""),
            filter => format!("{filter}, le=\"{bound}\""),
        };
        let below = rate(format!("{}_bucket{{{filter}}}", self.series.name));
        format!("1 - {below} / {}", rate(self.selected("_count")))
    }

    fn selected(self, suffix: &str) -> String {
        let name = self.series.name;
        match self.filter {
            "" => format!("{name}{suffix}"),
            filter => format!("{name}{suffix}{{{filter}}}"),
        }
    }

    fn aggregated(self, value: &str) -> String {
        let by = self.by.join(", ");
        format!("{} by ({by}) ({value})", self.series.scope.aggregation())
    }
}

#[cfg(test)]
mod tests {
    use outbox_runtime::metrics::series;

    use super::*;

    #[test]
    fn processes_are_added_up_and_logs_are_not() {
        let delivered = Query::of(&series::DELIVERED_RECORDS, &["log", "topic"]);
        assert_eq!(
            delivered.filter("log=\"a\"").rate("5m"),
            "sum by (log, topic) (rate(outbox_delivered_records_total{log=\"a\"}[5m]))"
        );
        assert_eq!(
            Query::of(&series::BACKLOG_RECORDS, &["log"]).value(),
            "max by (log) (outbox_backlog_records)"
        );
    }

    #[test]
    fn histograms_are_asked_by_their_buckets() {
        let seconds = Query::of(&series::DELIVERY_SECONDS, &["log"]);
        assert_eq!(
            seconds.quantile(0.99, "5m"),
            "histogram_quantile(0.99, sum by (log, le) (rate(outbox_delivery_seconds_bucket[5m])))"
        );
        assert_eq!(
            seconds.share_above(0.1, "5m"),
            "1 - sum by (log) (rate(outbox_delivery_seconds_bucket{le=\"0.1\"}[5m])) \
             / sum by (log) (rate(outbox_delivery_seconds_count[5m]))"
        );
        assert!(seconds.mean("5m").contains("outbox_delivery_seconds_sum[5m]"));
    }
}
