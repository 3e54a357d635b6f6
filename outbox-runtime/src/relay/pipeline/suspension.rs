//! Records that leave the log's order: those of topics that are suspended, and those that wait behind others.

use std::time::Duration;

use tokio::time::Instant;

use super::delivery::Delivery;
use crate::publisher::{Publisher, Ticket};
use crate::record::OutboxRecord;
use crate::relay::dead_letters::key_order::Revision;
use crate::relay::dead_letters::lookup::DeadLetterLookup;
use crate::relay::dead_letters::parking::ParkingQueue;
use crate::relay::dead_letters::{SKIPPED, key_paused};
use crate::relay::reader_task::{ReaderHandle, Request};
use crate::relay::topic_health::{TopicNumber, TopicState};
use crate::store::{DeadLetter, Interventions, Reader, RowId, StoreError};

impl<P: Publisher> Delivery<P> {
    /// From now on a topic's records are parked, those first that wait already. What the publisher has of them
    /// may still be delivered; then it is taken out again.
    pub(in crate::relay) fn suspend(&mut self, topic: TopicNumber, why: &str) {
        self.topics.suspend(topic, why);
        let waiting = self.in_flight.suspend(topic);
        tracing::warn!(
            event = "topic_suspended",
            topic = self.topics.name(topic),
            records = waiting.len(),
            "the topic does not accept records while others do; it is suspended, and its records wait in \
             the dead letters"
        );
        self.park_waiting(topic, waiting);
    }

    /// More is written for a topic than its throttle lets through: its records are parked, and sent from there.
    pub(super) fn throttle(&mut self, topic: TopicNumber) {
        self.topics.throttle(topic);
        let waiting = self.in_flight.suspend(topic);
        tracing::info!(
            event = "topic_throttled",
            topic = self.topics.name(topic),
            records = waiting.len(),
            "the topic exceeds its throttle; its records wait in the dead letters"
        );
        self.park_waiting(topic, waiting);
    }

    /// Parks what waits of a topic that is suspended from now on, and what the publisher has of it.
    fn park_waiting(&mut self, topic: TopicNumber, waiting: Vec<(Ticket, RowId, bool)>) {
        self.keys.hold(topic);
        for (ticket, row, outstanding) in waiting {
            // An earlier reader had left it behind, and it came to its end since.
            if self.forget_settled(&row) {
                self.in_flight.settle(ticket);
                continue;
            }
            self.parking.park(ParkingQueue::Topic(topic), ticket, row);
            if outstanding {
                self.parking.park_in_flight(ticket, row, topic);
            }
        }
    }

    /// What operators have decided holds for the run that begins: records of topics and keys that are paused are parked,
    /// and stay so.
    pub(in crate::relay) fn follow(&mut self, interventions: &Interventions) {
        self.topics.pause(&interventions.pauses);
        self.throttling.follow(&interventions.throttles, Instant::now());
        self.interventions = interventions.clone();
    }

    /// Dead-letters a record that an operator skips, or parks one whose key is paused. `false` if it is neither.
    pub(super) fn keep_back(
        &mut self,
        window: u64,
        record: &OutboxRecord<'_>,
        topic: TopicNumber,
        feed: &ReaderHandle,
    ) -> bool {
        let (ticket, row) = (self.in_flight.next_ticket(), (record.seq, record.id));
        if let Some(why) = self.interventions.skips.why(&record.id) {
            let error = why.to_owned();
            self.in_flight.push_pending(window, record, topic);
            self.skip(ticket, row, error, feed);
            return true;
        }
        let is_paused = self.interventions.pauses.key(record.topic, record.key).is_some();
        if is_paused {
            self.in_flight.push_pending(window, record, topic);
            self.parking.park(ParkingQueue::PausedKeys(topic), ticket, row);
        }
        is_paused
    }

    fn skip(&mut self, ticket: Ticket, (seq, id): RowId, error: String, feed: &ReaderHandle) {
        tracing::warn!(event = "skipped", seq, %id, why = error, "an operator skips a record; it goes to the dead letters");
        feed.ask(Request::WriteDeadLetter(
            ticket,
            DeadLetter {
                seq,
                id,
                reason: SKIPPED,
                error,
            },
        ));
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
        for (queue, mut rows) in self.parking.batches_to_park() {
            // Some may have been delivered meanwhile.
            rows.retain(|(ticket, _)| self.in_flight.is_pending(*ticket));
            let why = match queue {
                ParkingQueue::Topic(topic) => self.topics.parked_because(topic),
                ParkingQueue::PausedKeys(_) => Some(key_paused()),
            };
            match why {
                Some(why) => feed.ask(Request::Park { queue, rows, why }),
                None => feed.ask(Request::ParkBehind { queue, rows }),
            }
        }
        if let Some(rows) = self.parking.batch_to_take_out() {
            feed.ask(Request::TakeOut(rows));
        }
    }

    /// Rows are parked, which settles them.
    pub(in crate::relay) fn parked(
        &mut self,
        queue: ParkingQueue,
        rows: &[(Ticket, RowId)],
        reason: &str,
        at: Revision,
    ) {
        let (ParkingQueue::Topic(topic) | ParkingQueue::PausedKeys(topic)) = queue;
        self.parking.parked(queue);
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
