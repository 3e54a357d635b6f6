//! What metrics learn of records that were settled at least once.

use super::delivery::Delivery;
use super::in_flight::Settled;
use crate::metrics::RecordSample;
use crate::publisher::{Publisher, Ticket};
use crate::relay::dead_letters::parking::{InFlightDeadLetter, RedeliveryKind};

impl<P: Publisher> Delivery<P> {
    /// A record of the log was acknowledged.
    pub(super) fn count_delivered(&mut self, settled: Settled) {
        let topic = self.telemetry.topic(self.topics.name(settled.topic));
        self.telemetry.acknowledged(RecordSample {
            topic,
            born_ms: Some(settled.born_ms),
            bytes: settled.bytes,
        });
    }

    /// A record that stands in the dead letters was acknowledged.
    pub(super) fn count_redelivered(&mut self, ticket: Ticket, in_flight: &InFlightDeadLetter) {
        if let Some(sample) = in_flight.sample {
            self.telemetry.redelivery_acknowledged(sample);
            return;
        }
        // It was on its way when its topic was suspended.
        let RedeliveryKind::Parked(topic) = in_flight.kind else {
            return;
        };
        let topic = self.telemetry.topic(self.topics.name(topic));
        let known = self.in_flight.known(ticket);
        self.telemetry.acknowledged(RecordSample {
            topic,
            born_ms: known.map(|known| known.born_ms),
            bytes: known.map_or(0, |known| known.bytes),
        });
    }

    /// Shows what is in flight.
    pub(in crate::relay) fn show_in_flight(&self) {
        let records = self.outstanding();
        let bytes = self.in_flight.outstanding_bytes() + self.parking.in_flight_bytes();
        self.telemetry.in_flight(records, bytes);
        self.telemetry.suspended_topics(self.topics.suspended_count());
    }
}
