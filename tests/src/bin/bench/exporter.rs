//! The exporter of this process, as the relay's command has it.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use outbox_runtime::metrics::{ALL, Kind};

/// Records from now on; there is no way back within a process.
pub(crate) fn install() -> PrometheusHandle {
    let mut builder = PrometheusBuilder::new();
    for series in ALL.iter().filter(|series| series.kind == Kind::Histogram) {
        let name = Matcher::Full(series.name.to_owned());
        builder = builder
            .set_buckets_for_metric(name, series.buckets)
            .expect("there are buckets");
    }
    builder
        .install_recorder()
        .expect("nobody else records in this process")
}
