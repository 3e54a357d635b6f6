//! Metrics, recorded through the facade of the crate `metrics` and available to any of its exporters.
//!
//! They need the feature `metrics`. Without it, nothing is recorded or compiled. Install the exporter before
//! the first transaction, and before a relay, a consumer or a sampler starts. What starts earlier is not
//! recorded.
//!
//! `series` lists all of them. Each part of the library has a recorder that keeps the handles, so no other
//! code contains names of metrics.
//!
//! ```
//! use outbox_runtime::metrics::{ALL, Kind};
//!
//! // An exporter of Prometheus needs the buckets of the histograms.
//! for series in ALL.iter().filter(|series| series.kind == Kind::Histogram) {
//!     println!("{}: {:?}", series.name, series.buckets);
//! }
//! ```

#[cfg(feature = "kafka")]
mod consumer;
mod descriptor;
mod family;
mod handles;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(all(feature = "metrics", any(feature = "postgres", feature = "sqlite")))]
mod log;
mod relay;
pub mod series;
#[cfg(test)]
mod tests;
mod topics;
mod writing;

use std::sync::Once;

pub use self::descriptor::{Descriptor, Group, Kind, Scope, Unit};
pub use self::family::set_topic_limit;
pub use self::series::ALL;

#[cfg(feature = "kafka")]
pub(crate) use self::consumer::{ConsumerMetrics, MessageOutcome, RetryReason};
#[cfg(feature = "kafka")]
pub(crate) use self::kafka::{ClientMetrics, ClientStatistics};
#[cfg(all(feature = "metrics", any(feature = "postgres", feature = "sqlite")))]
pub(crate) use self::log::{DeadLetterSample, LogMetrics, LogNumbers};
pub(crate) use self::relay::{DuplicateReason, RelayMetrics, RelayRetry};
pub(crate) use self::topics::{MetricTopic, RecordSample, TopicMetrics, born_ms};
pub(crate) use self::writing::{TransactionGuard, WritingMetrics};

/// Whether metrics are compiled.
pub(crate) const ENABLED: bool = cfg!(feature = "metrics");

/// Describes each series to the exporter, and reports the library's version. Whatever records something has done that.
fn describe_once() {
    static DESCRIBED: Once = Once::new();
    if ENABLED {
        DESCRIBED.call_once(describe);
    }
}

/// Describes each series to the exporter, and reports the library's version. Called by the first part of the library
/// that records something; call it to have the descriptions of an exporter that was installed later. Does nothing
/// without the feature `metrics`.
pub fn describe() {
    for series in ALL {
        handles::describe(series);
    }
    let version = [(series::VERSION, env!("CARGO_PKG_VERSION"))];
    handles::gauge(&series::BUILD_INFO, &version).set(1.0);
}
