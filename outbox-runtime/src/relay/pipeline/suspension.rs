//! Records that leave the log's order: those of topics that are suspended, and those that wait behind others.

use std::time::Duration;

use super::delivery::Delivery;
use crate::publisher::{Publisher, Ticket};
use crate::relay::dead_letters::key_order::Revision;
use crate::relay::dead_letters::lookup::DeadLetterLookup;
use crate::relay::reader_task::{ReaderHandle, Request};
use crate::relay::topic_health::{TopicNumber, TopicState};
use crate::store::{Pauses, Reader, RowId, StoreError};

impl<P: Publisher> Delivery<P> {
    /// From now on a topic's records are parked, those first that wait already. What the publisher has of them
    /// may still be delivered; then it is taken out again.
    pub(in crate::relay) fn suspend(&mut self, topic: TopicNumber, why: &str) {
        self.topics.suspend(topic, why);
        self.keys.hold(topic);
        let waiting = self.in_flight.suspend(topic);
        tracing::warn!(
            event = "topic_suspended",
            topic = self.topics.name(topic),
            records = waiting.len(),
            "the topic takes no records while others do; it is suspended, and its records wait in the dead letters"
        );
        for (ticket, row, outstanding) in waiting {
            // An earlier reader had left it behind, and it came to its end since.
            if self.forget_settled(&row) {
                self.in_flight.settle(ticket);
                continue;
            }
            self.parking.park(topic, ticket, row);
            if outstanding {
                self.parking.park_in_flight(ticket, row, topic);
            }
        }
    }

    /// Records of these topics are parked, and stay so, in the run that begins.
    pub(in crate::relay) fn pause(&mut self, pauses: &Pauses) {
        self.topics.pause(pauses);
    }

    /// Records wait for these topics already.
    pub(in crate::relay) fn remain_suspended(&mut self, topics: &[String]) {
        for name in topics {
            let topic = self.topics.number(name);
            // Where keys wait for themselves, the others of the topic need not.
            if self.topics.blocks(topic) {
                continue;
            }
            self.topics
                .suspend(topic, "records of it wait since an earlier relay suspended it");
        }
    }

    /// A topic's records do not come back: those that follow are held back.
    pub(super) fn fall_silent(&mut self, topic: TopicNumber, silent: Duration) {
        if *self.topics.state(topic) == TopicState::Healthy
            && let Some(first) = (self.in_flight.first_outstanding(topic)).or(self.keys.held_up_by(topic))
        {
            let next = self.in_flight.next_ticket();
            self.topics.silent(topic, first, next, silent);
            self.keys.hold(topic);
        }
    }

    /// The next reader need not wait for records that do not come back. It holds back what it reads of their
    /// topics until their outcome is known.
    pub(in crate::relay) fn leave_behind(&mut self, silent: Duration) {
        let loaded: Vec<TopicNumber> = self.in_flight.loaded().map(|(topic, _)| topic).collect();
        for topic in loaded {
            self.fall_silent(topic, silent);
            for (ticket, row, outstanding) in self.in_flight.suspend(topic) {
                if outstanding {
                    self.parking.park_in_flight(ticket, row, topic);
                }
            }
        }
    }

    /// Asks the store for what the dead letters need.
    pub(super) fn ask_for_parking(&mut self, feed: &ReaderHandle) {
        for (topic, mut rows) in self.parking.batches_to_park() {
            // Some may have been delivered meanwhile.
            rows.retain(|(ticket, _)| self.in_flight.is_pending(*ticket));
            match self.topics.parked_because(topic) {
                Some(why) => feed.ask(Request::Park { topic, rows, why }),
                None => feed.ask(Request::ParkBehind { topic, rows }),
            }
        }
        if let Some(rows) = self.parking.batch_to_take_out() {
            feed.ask(Request::TakeOut(rows));
        }
    }

    /// Rows are parked, which settles them.
    pub(in crate::relay) fn parked(
        &mut self,
        topic: TopicNumber,
        rows: &[(Ticket, RowId)],
        reason: &str,
        at: Revision,
    ) {
        self.parking.parked(topic);
        self.keys.passed(at);
        for (ticket, row) in rows {
            self.unconfirmed.confirmed(row);
            self.in_flight.settle(*ticket);
            self.keys.written(*ticket, at);
        }
        let records = rows.len() as u64;
        self.telemetry.parked(records);
        self.telemetry.parked_of(self.topics.name(topic), reason, records);
    }

    /// Finds out what dead letters mean to the pages of a new reader.
    pub(in crate::relay) async fn lookup<R: Reader>(
        &mut self,
        reader: &mut R,
    ) -> Result<DeadLetterLookup, StoreError> {
        let topics_with_dead_letters = match self.topics.blocking().is_empty() {
            true => Vec::new(),
            false => reader.dead_letter_topics().await?,
        };
        for name in &topics_with_dead_letters {
            let topic = self.topics.number(name);
            if self.topics.blocks(topic) {
                self.keys.has_dead_letters(topic);
            }
        }
        Ok(DeadLetterLookup::new(
            self.topics.blocking().clone(),
            &topics_with_dead_letters,
        ))
    }

    /// Rows are out of the dead letters.
    pub(in crate::relay) fn taken_out(&mut self, at: Revision) {
        self.keys.passed(at);
        for row in self.parking.taken_out() {
            self.keys.taken_out(row, at);
        }
    }
}
