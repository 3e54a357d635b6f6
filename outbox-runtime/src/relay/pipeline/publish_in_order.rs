//! Records of topics that block: one of a key at a time, and none past a dead one.

use tokio::time::Instant;

use super::delivery::{Delivery, Offer};
use crate::metrics::RecordSample;
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Ticket};
use crate::record::OutboxRecord;
use crate::relay::dead_letters::key_order::{Admission, Behind, QueuedRecord, Source};
use crate::relay::dead_letters::parking::{ParkingQueue, RedeliveryKind};
use crate::relay::load::weight;
use crate::relay::reader_task::ReaderHandle;
use crate::relay::throttle::Allowance;
use crate::relay::topic_health::TopicNumber;
use crate::store::RowId;

/// What became of the records that may go.
pub(in crate::relay) enum Sent {
    /// All of them went.
    All,
    /// The rest has to wait until others are settled.
    NoRoom,
    /// The topic has to be prepared.
    Unprepared(String),
    /// The publisher cannot go on.
    Failed(PublishError),
}

impl<P: Publisher> Delivery<P> {
    /// What happens to a record of the log because of others of its key; `None` if it may be handed over.
    pub(super) fn offer_in_order(
        &mut self,
        window: u64,
        record: &OutboxRecord<'_>,
        topic: TopicNumber,
        admission: Admission,
    ) -> Option<Offer> {
        let (ticket, row) = (self.in_flight.next_ticket(), (record.seq, record.id));
        match admission {
            Admission::Free => None,
            Admission::Busy if !self.has_room(topic, weight(record)) => Some(Offer::NoRoom),
            Admission::Busy => {
                self.in_flight.held(window, record, topic);
                let next = QueuedRecord::new(Source::Log(ticket, row), record);
                self.keys.wait(topic, record.key, next);
                Some(Offer::Taken)
            }
            Admission::Blocked => {
                self.in_flight.push_pending(window, record, topic);
                self.keys.mark_pending(topic, record.key, ticket);
                self.parking.park(ParkingQueue::Topic(topic), ticket, row);
                Some(Offer::Taken)
            }
        }
    }

    /// Sends the records whose predecessors are acknowledged.
    pub(in crate::relay) fn send_ready(&mut self, feed: &ReaderHandle) -> Sent {
        // Of topics that are throttled, one after the other waits for the end.
        let mut throttled = 0;
        loop {
            let some_settle = self.outstanding() > 0;
            let ready = self.keys.ready();
            let Some((topic, key, next, record)) =
                ready.and_then(|(topic, key, next)| Some((topic, key, next, next.record()?)))
            else {
                return Sent::All;
            };
            let (source, bytes) = (next.source, weight(&record));
            let ticket = match source {
                Source::Log(ticket, _) => ticket,
                Source::DeadLetter(_) => self.parking.next_ticket(),
            };
            let sample = self.telemetry.sample(&record);
            if self.throttling.allows(record.topic, Instant::now()) != Allowance::Now {
                throttled += 1;
                match self.keys.postpone_ready() {
                    many if throttled < many => continue,
                    _ => return Sent::NoRoom,
                }
            }
            let Err(error) = self.publisher.send(ticket, &record, &self.wire) else {
                match source {
                    Source::Log(..) => self.telemetry.sent(ticket, &record),
                    Source::DeadLetter(_) => self.telemetry.redelivery_sent(ticket, &record),
                }
                self.throttling.sent(record.topic, bytes);
                let key = key.to_owned();
                self.ready_sent((topic, &key), (ticket, source), bytes, sample);
                continue;
            };
            match error.kind() {
                PublishErrorKind::Unprepared => return Sent::Unprepared(record.topic.to_owned()),
                PublishErrorKind::Full if some_settle => return Sent::NoRoom,
                PublishErrorKind::Record(reason) => {
                    let key = key.to_owned();
                    self.keys.take_ready();
                    self.ready_failed((topic, &key), source, (reason, &error), feed);
                }
                PublishErrorKind::Topic => {
                    // What waits of the log is read again, and dead letters stay where they are.
                    self.suspect(topic, &error);
                    self.failed_redeliveries.push(RedeliveryKind::Parked(topic));
                }
                PublishErrorKind::Full
                | PublishErrorKind::Unavailable
                | PublishErrorKind::Withdrawn
                | PublishErrorKind::Fatal
                | PublishErrorKind::Configuration => return Sent::Failed(error),
            }
        }
    }

    /// A record that was ready is on its way.
    fn ready_sent(
        &mut self,
        (topic, key): (TopicNumber, &str),
        (ticket, source): (Ticket, Source),
        bytes: usize,
        sample: RecordSample,
    ) {
        self.keys.take_ready();
        match source {
            Source::Log(..) => self.in_flight.hand_over_held(ticket, bytes),
            Source::DeadLetter(row) => self.parking.hand_over(row, RedeliveryKind::Parked(topic), sample),
        }
        self.keys.sent(topic, key, ticket);
    }

    /// No retry can deliver a record that was ready: those of its key behind it are parked.
    fn ready_failed(
        &mut self,
        (topic, key): (TopicNumber, &str),
        source: Source,
        (reason, error): (&'static str, &PublishError),
        feed: &ReaderHandle,
    ) {
        match source {
            Source::Log(ticket, _) => {
                self.in_flight.mark_pending(ticket);
                self.keys.mark_pending(topic, key, ticket);
                self.dead_letter(ticket, reason, error, feed);
            }
            Source::DeadLetter(row) => {
                self.keys.stays(row);
                self.fail_again(row, reason, error, feed);
            }
        }
        let behind = self.keys.stop(topic, key);
        self.park_behind(topic, key, behind);
    }

    /// These records of a key were behind one that did not go through.
    pub(in crate::relay) fn park_behind(&mut self, topic: TopicNumber, key: &str, rows: Behind) {
        for (ticket, row) in rows {
            self.in_flight.mark_pending(ticket);
            self.keys.mark_pending(topic, key, ticket);
            self.parking.park(ParkingQueue::Topic(topic), ticket, row);
        }
    }

    /// A record of the log that was on its way is dead.
    pub(super) fn record_died(&mut self, ticket: Ticket) {
        if let Some((topic, key, behind)) = self.keys.failed(ticket) {
            self.keys.mark_pending(topic, &key, ticket);
            self.park_behind(topic, &key, behind);
        }
    }

    /// A record that was sent from the dead letters stays there.
    pub(super) fn dead_letter_failed(&mut self, ticket: Ticket, row: RowId) {
        self.keys.stays(row);
        if let Some((topic, key, behind)) = self.keys.failed(ticket) {
            self.park_behind(topic, &key, behind);
        }
    }

    /// How many records of a topic's dead letters were handed over, or wait for that in memory.
    pub(super) fn dead_letters_pending(&self, topic: TopicNumber) -> usize {
        self.parking.in_flight(RedeliveryKind::Parked(topic)) + self.keys.dead_letters_waiting(topic)
    }
}
