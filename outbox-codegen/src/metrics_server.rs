//! Serves metrics to Prometheus.

use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use outbox_runtime::metrics::{self as series, Kind};
use tokio::task::AbortHandle;

use crate::failure::Failure;

/// A server of metrics, which ends when it is dropped.
pub(crate) struct MetricsServer(AbortHandle);

impl MetricsServer {
    /// Listens, and records the metrics of this process from now on. At most `topics` topics have series of their own.
    pub(crate) fn start(address: SocketAddr, topics: usize) -> Result<Self, Failure> {
        series::set_topic_limit(topics);
        let cannot = |error: BuildError| {
            Failure::failed(format!("cannot serve metrics at {address}"))
                .because(error)
                .advise("give `--metrics-addr` an address of this machine and a port that nobody listens on")
        };
        let mut builder = PrometheusBuilder::new().with_http_listener(address);
        for histogram in series::ALL.iter().filter(|series| series.kind == Kind::Histogram) {
            let name = Matcher::Full(histogram.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, histogram.buckets)
                .map_err(cannot)?;
        }
        let (recorder, exporter) = builder.build().map_err(cannot)?;
        metrics::set_global_recorder(recorder)
            .map_err(|_| Failure::failed("this process records metrics already"))?;
        series::describe();
        let serving = tokio::spawn(async move {
            if exporter.await.is_err() {
                tracing::error!("metrics are not served any more");
            }
        });
        tracing::info!(%address, "serving metrics");
        Ok(Self(serving.abort_handle()))
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
