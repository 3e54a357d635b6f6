//! Records that poison detection sends one at a time.

use super::delivery::Delivery;
use crate::publisher::{PublishError, Publisher, Ticket};
use crate::record::OutboxRecord;
use crate::relay::dead_letters::key_paused;
use crate::relay::load::weight;
use crate::relay::topic_health::TopicState;
use crate::store::{Mark, Parked};

/// What may become of a record now.
pub(in crate::relay) enum Admits {
    /// It may be sent.
    Yes,
    /// It may be sent unless its key has dead letters.
    UnlessBlocked,
    /// Its topic is suspended, or its key is paused: it has to be parked, for this reason.
    Suspended(Parked),
    /// An operator skips it, for this reason.
    Skipped(String),
    /// Its topic is suspect: nothing can be decided about it. Whether the topic blocks.
    Suspect { blocks: bool },
}

impl<P: Publisher> Delivery<P> {
    /// The ticket of the next record that is remembered.
    pub(in crate::relay) fn next_ticket(&self) -> Ticket {
        self.in_flight.next_ticket()
    }

    /// A record of a page under poison detection: not handed over yet, unless it is settled.
    pub(in crate::relay) fn hold_place(&mut self, window: u64, record: &OutboxRecord<'_>) {
        let topic = self.topics.number(record.topic);
        match self.forget_settled(&(record.seq, record.id)) {
            true => self.in_flight.already_settled(window, record, topic),
            false => self.in_flight.held(window, record, topic),
        }
        self.unconfirmed.met((record.seq, record.id), false);
    }

    /// A record of a page under poison detection is parked.
    pub(in crate::relay) fn put_away(&mut self, ticket: Ticket, reason: &str) {
        if let Some(settled) = self.in_flight.settle(ticket) {
            let topic = self.topics.name(settled.topic);
            self.telemetry.parked_of(topic, reason, 1);
        }
        self.telemetry.parked(1);
    }

    /// Whether a record's topic takes it.
    pub(in crate::relay) fn admits(&mut self, record: &OutboxRecord<'_>) -> Admits {
        let topic = self.topics.number(record.topic);
        if let Some(why) = self.interventions.skips.why(&record.id) {
            return Admits::Skipped(why.to_owned());
        }
        if self.interventions.pauses.key(record.topic, record.key).is_some() {
            return Admits::Suspended(key_paused());
        }
        if let Some(why) = self.topics.parked_because(topic) {
            return Admits::Suspended(why);
        }
        match self.topics.state(topic) {
            TopicState::Suspect(_) => Admits::Suspect {
                blocks: self.topics.blocks(topic),
            },
            TopicState::Healthy | TopicState::Suspended { .. } if self.topics.blocks(topic) => {
                Admits::UnlessBlocked
            }
            TopicState::Healthy | TopicState::Suspended { .. } => Admits::Yes,
        }
    }

    /// Whether a record is not settled yet.
    pub(in crate::relay) fn is_unsettled(&self, ticket: Ticket) -> bool {
        self.in_flight.unsettled_row(ticket).is_some()
    }

    /// Whether the publisher has a record.
    pub(in crate::relay) fn is_outstanding(&self, ticket: Ticket) -> bool {
        self.in_flight.is_outstanding(ticket)
    }

    /// Sends a record that was held back.
    pub(in crate::relay) fn send_held(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
    ) -> Result<(), PublishError> {
        self.publisher.send(ticket, record, &self.wire)?;
        self.in_flight.hand_over_held(ticket, weight(record));
        Ok(())
    }

    /// Everything up to here is settled; `None` if nothing is beyond what was persisted.
    pub(in crate::relay) fn settled_to(&self) -> Option<Mark> {
        self.in_flight.settled_to()
    }

    /// The cursor was written up to here.
    pub(in crate::relay) fn persisted(&mut self, mark: Mark) {
        self.in_flight.persisted(mark);
    }
}
