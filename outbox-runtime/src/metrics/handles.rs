//! Counters, gauges and histograms of whatever exporter the process has installed. Without the feature `metrics` they
//! are nothing at all.

#[cfg(feature = "metrics")]
pub(super) use self::on::{counter, describe, gauge, histogram};
#[cfg(feature = "metrics")]
pub(super) use ::metrics::{Counter, Gauge, Histogram};

#[cfg(not(feature = "metrics"))]
pub(super) use self::off::{Counter, Gauge, Histogram, counter, describe, gauge, histogram};

use super::descriptor::Descriptor;

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

#[cfg(feature = "metrics")]
mod on {
    use ::metrics::{
        Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit as TheirUnit, with_recorder,
    };

    use super::{Descriptor, Labels};
    use crate::metrics::descriptor::{Kind, Unit};

    const METADATA: Metadata<'static> = Metadata::new("outbox", Level::INFO, Some("outbox_runtime"));

    pub(in crate::metrics) fn counter(series: &Descriptor, labels: Labels<'_>) -> Counter {
        with_recorder(|recorder| recorder.register_counter(&key(series, labels), &METADATA))
    }

    pub(in crate::metrics) fn gauge(series: &Descriptor, labels: Labels<'_>) -> Gauge {
        with_recorder(|recorder| recorder.register_gauge(&key(series, labels), &METADATA))
    }

    pub(in crate::metrics) fn histogram(series: &Descriptor, labels: Labels<'_>) -> Histogram {
        with_recorder(|recorder| recorder.register_histogram(&key(series, labels), &METADATA))
    }

    fn key(series: &Descriptor, labels: Labels<'_>) -> Key {
        debug_assert!(
            labels.iter().map(|(name, _)| name).eq(series.labels),
            "{} is documented with other labels than {labels:?}",
            series.name
        );
        let labels: Vec<Label> = labels
            .iter()
            .map(|(name, value)| Label::new(*name, (*value).to_owned()))
            .collect();
        Key::from_parts(series.name, labels)
    }

    /// Describes a series to the exporter.
    pub(in crate::metrics) fn describe(series: &Descriptor) {
        let unit = match series.unit {
            Unit::Count => TheirUnit::Count,
            Unit::Seconds => TheirUnit::Seconds,
            Unit::Bytes => TheirUnit::Bytes,
        };
        let describe = |recorder: &dyn Recorder| {
            let (name, unit, help) = (series.name.into(), Some(unit), series.help.into());
            match series.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        };
        with_recorder(describe);
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use super::{Descriptor, Labels};

    #[derive(Debug, Clone)]
    pub(in crate::metrics) struct Counter;

    impl Counter {
        pub(in crate::metrics) fn increment(&self, _by: u64) {}
    }

    #[derive(Debug, Clone)]
    pub(in crate::metrics) struct Gauge;

    impl Gauge {
        pub(in crate::metrics) fn set(&self, _value: f64) {}
    }

    #[derive(Debug, Clone)]
    pub(in crate::metrics) struct Histogram;

    impl Histogram {
        pub(in crate::metrics) fn record(&self, _value: f64) {}

        pub(in crate::metrics) fn record_many(&self, _value: f64, _times: usize) {}
    }

    pub(in crate::metrics) fn counter(_series: &Descriptor, _labels: Labels<'_>) -> Counter {
        Counter
    }

    pub(in crate::metrics) fn gauge(_series: &Descriptor, _labels: Labels<'_>) -> Gauge {
        Gauge
    }

    pub(in crate::metrics) fn histogram(_series: &Descriptor, _labels: Labels<'_>) -> Histogram {
        Histogram
    }

    pub(in crate::metrics) fn describe(_series: &Descriptor) {}
}
