//! What a relay reports of its work: its report at the end, the counters that can be read meanwhile, and metrics.
//!
//! Each event is recorded by one method, which keeps all three in step.

use std::fmt::Display;

use crate::metrics::{DuplicateReason, MetricTopic, RecordSample, RelayMetrics, RelayRetry, TopicMetrics};
use crate::publisher::{PublishErrorKind, Ticket};
use crate::record::OutboxRecord;
use crate::relay::load::weight;
use crate::relay::report::{RelayProgress, RelayReport, Server};
use crate::relay::send_spans::SendSpans;

/// The records of one relay's work.
pub(in crate::relay) struct Telemetry {
    report: RelayReport,
    progress: RelayProgress,
    metrics: RelayMetrics,
    topics: TopicMetrics,
    spans: SendSpans,
    redelivery_spans: SendSpans,
}

impl Telemetry {
    pub(in crate::relay) fn new(metrics: RelayMetrics, span_for_each_record: bool) -> Self {
        Self {
            report: RelayReport::default(),
            progress: RelayProgress::default(),
            topics: TopicMetrics::new(&metrics),
            metrics,
            spans: SendSpans::new(span_for_each_record),
            redelivery_spans: SendSpans::new(span_for_each_record),
        }
    }

    /// Begins a report.
    pub(in crate::relay) fn begin(&mut self) {
        self.report = RelayReport::default();
    }

    pub(in crate::relay) fn report(&self) -> RelayReport {
        self.report
    }

    pub(in crate::relay) fn progress(&self) -> &RelayProgress {
        &self.progress
    }

    pub(in crate::relay) fn metrics(&self) -> &RelayMetrics {
        &self.metrics
    }

    /// The relay became the active one.
    pub(in crate::relay) fn leader_term(&mut self) {
        self.report.leader_terms += 1;
    }

    /// The work was interrupted by the database or the broker.
    pub(in crate::relay) fn interrupted(&mut self) {
        self.report.interruptions += 1;
        self.spans.interrupted();
        self.redelivery_spans.interrupted();
    }

    /// It begins again at the cursor for this reason.
    pub(in crate::relay) fn retry(&self, reason: RelayRetry) {
        self.metrics.retry(reason);
    }

    /// A server fails.
    pub(in crate::relay) fn trouble(&self, server: Server, because: impl Display) {
        self.progress.trouble_with(server, because);
    }

    /// The relay works.
    pub(in crate::relay) fn well(&self) {
        self.progress.well();
    }

    /// These records may come twice.
    pub(in crate::relay) fn possible_duplicates(&mut self, reason: DuplicateReason, records: u64) {
        let duplicates = &mut self.report.possible_duplicates;
        *match reason {
            DuplicateReason::StopDeadline => &mut duplicates.stop_deadline,
            DuplicateReason::LostLease => &mut duplicates.lost_lease,
            DuplicateReason::ProducerRebuilt => &mut duplicates.producer_rebuilt,
            DuplicateReason::DatabaseWentBack => &mut duplicates.database_went_back,
            DuplicateReason::Rewound => &mut duplicates.rewound,
        } += records;
        self.metrics.possible_duplicates(reason, records);
    }

    /// A record came back.
    pub(in crate::relay) fn publish_error(&self, kind: PublishErrorKind) {
        self.metrics.publish_error(kind.as_str());
    }

    /// What came back is this record of the log.
    pub(in crate::relay) fn record_failed(&self, ticket: Ticket, kind: PublishErrorKind) {
        self.spans.failed(ticket, kind.as_str());
    }

    /// What came back is this record of the dead letters.
    pub(in crate::relay) fn redelivery_failed(&self, ticket: Ticket, kind: PublishErrorKind) {
        self.redelivery_spans.failed(ticket, kind.as_str());
    }

    /// The producer failed.
    pub(in crate::relay) fn producer_failed(&self, kind: PublishErrorKind) {
        self.metrics.publish_error(kind.as_str());
        self.spans.all_failed(kind.as_str());
        self.redelivery_spans.all_failed(kind.as_str());
    }

    /// A page of a window was read.
    pub(in crate::relay) fn page(&mut self, window: u64, records: usize, bytes: usize) {
        self.metrics.page(window, records, bytes);
        self.spans.end_batch();
    }

    /// A record of the log was handed over.
    pub(in crate::relay) fn sent(&mut self, ticket: Ticket, record: &OutboxRecord<'_>) {
        self.spans.sent(ticket, record);
    }

    /// All records of the log before `oldest` are settled; all there are if it is none.
    pub(in crate::relay) fn settled(&mut self, oldest: Option<Ticket>) {
        self.spans.settled(oldest);
    }

    /// A record of the dead letters was handed over.
    pub(in crate::relay) fn redelivery_sent(&mut self, ticket: Ticket, record: &OutboxRecord<'_>) {
        self.redelivery_spans.sent(ticket, record);
    }

    /// All records of the dead letters before `oldest` are settled; all there are if it is none.
    pub(in crate::relay) fn redeliveries_settled(&mut self, oldest: Option<Ticket>) {
        self.redelivery_spans.settled(oldest);
    }

    /// The log ends here for now.
    pub(in crate::relay) fn end_of_log(&self) {
        self.metrics.end_of_log();
    }

    /// What the publisher has.
    pub(in crate::relay) fn in_flight(&self, records: usize, bytes: usize) {
        self.progress.set_in_flight(records);
        self.metrics.in_flight(records, bytes);
    }

    pub(in crate::relay) fn suspended_topics(&self, topics: usize) {
        self.metrics.suspended_topics(topics);
    }

    /// A transaction of Kafka was committed with so many records.
    pub(in crate::relay) fn transaction(&self, records: usize) {
        self.metrics.transaction(records);
    }

    /// A topic as metrics know it.
    pub(in crate::relay) fn topic(&mut self, name: &str) -> MetricTopic {
        self.topics.number(name)
    }

    /// What there is to say of a record once it is acknowledged.
    pub(in crate::relay) fn sample(&mut self, record: &OutboxRecord<'_>) -> RecordSample {
        self.topics.sample(record, weight(record))
    }

    /// A record was acknowledged. It counts with the next [`delivered`](Self::delivered).
    pub(in crate::relay) fn acknowledged(&mut self, sample: RecordSample) {
        self.topics.delivered(sample);
    }

    /// A record that came out of the dead letters was acknowledged.
    pub(in crate::relay) fn redelivery_acknowledged(&mut self, sample: RecordSample) {
        self.topics.delivered(sample);
        self.topics.redelivered(sample.topic);
    }

    /// So many records were acknowledged.
    pub(in crate::relay) fn delivered(&mut self, records: u64) {
        self.report.delivered += records;
        self.progress.add_delivered(records);
        self.topics.flush();
        if records > 0 {
            self.progress.well();
        }
    }

    /// A record is in the dead letters, of this topic if that is known.
    pub(in crate::relay) fn dead_lettered(&mut self, topic: Option<&str>, reason: &str) {
        self.report.dead_lettered += 1;
        self.progress.add_dead_lettered(1);
        if let Some(topic) = topic {
            self.topics.dead_lettered(topic, reason);
        }
    }

    /// So many records are parked, whatever their topics are.
    pub(in crate::relay) fn parked(&mut self, records: u64) {
        self.report.parked += records;
        self.progress.add_parked(records);
    }

    /// So many of them are of this topic.
    pub(in crate::relay) fn parked_of(&mut self, topic: &str, reason: &str, records: u64) {
        self.topics.parked(topic, reason, records);
    }
}
