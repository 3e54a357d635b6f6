//! What metrics learn of records that were settled at least once.

use super::delivery::Delivery;
use super::in_flight::Settled;
use crate::metrics::RecordSample;
use crate::publisher::{Publisher, Ticket};
use crate::relay::dead_letters::parking::{InFlightDeadLetter, RedeliveryKind};
use crate::relay::topic_health::TopicNumber;

impl<P: Publisher> Delivery<P> {
    /// A record of the log was acknowledged.
    pub(super) fn count_delivered(&mut self, settled: Settled) {
        let topic = self.topic_metrics.number(self.topics.name(settled.topic));
        self.topic_metrics.delivered(RecordSample {
            topic,
            born_ms: Some(settled.born_ms),
            bytes: settled.bytes,
        });
    }

    /// A record that stands in the dead letters was acknowledged.
    pub(super) fn count_redelivered(&mut self, ticket: Ticket, in_flight: &InFlightDeadLetter) {
        if let Some(sample) = in_flight.sample {
            self.topic_metrics.delivered(sample);
            self.topic_metrics.redelivered(sample.topic);
            return;
        }
        // It was on its way when its topic was suspended.
        let RedeliveryKind::Parked(topic) = in_flight.kind else {
            return;
        };
        let topic = self.topic_metrics.number(self.topics.name(topic));
        let known = self.in_flight.known(ticket);
        self.topic_metrics.delivered(RecordSample {
            topic,
            born_ms: known.map(|known| known.born_ms),
            bytes: known.map_or(0, |known| known.bytes),
        });
    }

    pub(super) fn count_dead_lettered(&mut self, topic: TopicNumber, reason: &str) {
        self.topic_metrics.dead_lettered(self.topics.name(topic), reason);
    }

    pub(super) fn count_parked(&mut self, topic: TopicNumber, reason: &str, records: u64) {
        self.topic_metrics
            .parked(self.topics.name(topic), reason, records);
    }

    /// Shows what is in flight.
    pub(in crate::relay) fn show_in_flight(&self) {
        let records = self.outstanding();
        self.progress.set_in_flight(records);
        let bytes = self.in_flight.outstanding_bytes() + self.parking.in_flight_bytes();
        self.metrics.in_flight(records, bytes);
        self.metrics.suspended_topics(self.topics.suspended_count());
    }
}
