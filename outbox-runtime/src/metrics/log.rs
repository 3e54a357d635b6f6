//! What the one process records that samples a log.

use std::collections::HashMap;

use super::family::Names;
use super::handles::{Counter, Gauge, Histogram, counter, gauge, histogram};
use super::{describe_once, series};

/// A log's numbers. What a database does not report is `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogNumbers {
    pub(crate) backlog_records: u64,
    pub(crate) backlog_oldest_age_seconds: f64,
    pub(crate) lease_held: bool,
    pub(crate) lease_epoch: i64,
    pub(crate) dead_letters: Vec<DeadLetterSample>,
    pub(crate) table_bytes: Option<u64>,
    pub(crate) dead_tuples: Option<u64>,
    pub(crate) partitions_ahead: Option<u64>,
    pub(crate) oldest_transaction_seconds: Option<f64>,
}

/// Dead letters of one topic.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetterSample {
    pub(crate) topic: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) records: u64,
}

/// Gauges of a log. Once they are dropped, they say that this process knows nothing: another one may know better.
pub(crate) struct LogMetrics {
    log: String,
    sampler_active: Gauge,
    seconds: Histogram,
    succeeded: Counter,
    failed: Counter,
    gauges: HashMap<&'static str, Gauge>,
    topics: Names,
    reasons: Names,
    dead_letters: HashMap<DeadLetterLabels, Gauge>,
}

/// A topic, a state and a reason.
type DeadLetterLabels = (String, String, String);

impl LogMetrics {
    pub(crate) fn new(log: String) -> Self {
        describe_once();
        let labels = [(series::LOG, log.as_str())];
        let outcome = |outcome| {
            let labels = [(series::LOG, log.as_str()), (series::OUTCOME, outcome)];
            counter(&series::SAMPLES, &labels)
        };
        Self {
            sampler_active: gauge(&series::SAMPLER_ACTIVE, &labels),
            seconds: histogram(&series::SAMPLE_SECONDS, &labels),
            succeeded: outcome("ok"),
            failed: outcome("failed"),
            gauges: HashMap::new(),
            topics: Names::default(),
            reasons: Names::default(),
            dead_letters: HashMap::new(),
            log,
        }
    }

    /// This process does not sample: another one does, or the database is away. A maximum leaves it out.
    pub(crate) fn stand_by(&mut self) {
        self.sampler_active.set(0.0);
        for gauge in self.gauges.values().chain(self.dead_letters.values()) {
            gauge.set(f64::NAN);
        }
    }

    /// A sample could not be taken.
    pub(crate) fn failed(&mut self) {
        self.failed.increment(1);
        self.stand_by();
    }

    /// A sample took so long.
    pub(crate) fn sampled(&mut self, numbers: &LogNumbers, seconds: f64) {
        self.sampler_active.set(1.0);
        self.seconds.record(seconds);
        self.succeeded.increment(1);
        let held = f64::from(u8::from(numbers.lease_held));
        let always = [
            (&series::BACKLOG_RECORDS, Some(numbers.backlog_records as f64)),
            (
                &series::BACKLOG_OLDEST_AGE,
                Some(numbers.backlog_oldest_age_seconds),
            ),
            (&series::LEASE_HELD, Some(held)),
            (&series::LEASE_EPOCH, Some(numbers.lease_epoch as f64)),
            (
                &series::LOG_TABLE_BYTES,
                numbers.table_bytes.map(|bytes| bytes as f64),
            ),
            (
                &series::LOG_DEAD_TUPLES,
                numbers.dead_tuples.map(|rows| rows as f64),
            ),
            (
                &series::LOG_PARTITIONS_AHEAD,
                numbers.partitions_ahead.map(|ahead| ahead as f64),
            ),
            (&series::OLDEST_TRANSACTION, numbers.oldest_transaction_seconds),
        ];
        for (series, value) in always {
            let Some(value) = value else { continue };
            let known = self.gauges.entry(series.name);
            known
                .or_insert_with(|| gauge(series, &[(series::LOG, &self.log)]))
                .set(value);
        }
        self.dead_letters(&numbers.dead_letters);
    }

    /// Those that are not there any more are 0.
    fn dead_letters(&mut self, counts: &[DeadLetterSample]) {
        let mut now: HashMap<DeadLetterLabels, u64> = HashMap::new();
        for count in counts {
            let topic = self.topics.fold(&count.topic).to_owned();
            let reason = self.reasons.fold(&count.reason).to_owned();
            *now.entry((topic, count.state.clone(), reason)).or_default() += count.records;
        }
        for (dead_letters, gauge) in &self.dead_letters {
            if !now.contains_key(dead_letters) {
                gauge.set(0.0);
            }
        }
        for (dead_letters, records) in now {
            let log = &self.log;
            let known = self
                .dead_letters
                .entry(dead_letters)
                .or_insert_with_key(|(topic, state, reason)| {
                    let labels = [
                        (series::LOG, log.as_str()),
                        (series::TOPIC, topic),
                        (series::STATE, state),
                        (series::REASON, reason),
                    ];
                    gauge(&series::DEAD_LETTERS, &labels)
                });
            known.set(records as f64);
        }
    }
}

impl Drop for LogMetrics {
    fn drop(&mut self) {
        self.stand_by();
    }
}
