//! Exports the relay's spans over OTLP.

use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::failure::Failure;

/// The exporter. What is left goes out when it is dropped.
pub(crate) struct SpanExport {
    pub(crate) provider: SdkTracerProvider,
}

impl SpanExport {
    /// Exports to the collector at `endpoint`, such as `http://localhost:4318`: HTTP with protobuf.
    pub(crate) fn start(endpoint: &str) -> Result<Self, Failure> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(url);
        let exporter = exporter.build().map_err(|error| {
            Failure::usage(format!("cannot export spans to `{endpoint}`"))
                .because(error)
                .advise(
                    "give `--otlp-endpoint` the collector's address for HTTP, such as http://localhost:4318",
                )
        })?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Self {
            provider: provider.build(),
        })
    }
}

impl Drop for SpanExport {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
