//! What becomes of records that were handed over.

use std::time::Duration;

use tokio::time::Instant;

use super::delivery::Delivery;
use crate::failpoint::{self, Failpoint};
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, Ticket};
use crate::relay::dead_letters::TOPIC_UNAVAILABLE;
use crate::relay::dead_letters::key_order::Revision;
use crate::relay::dead_letters::parking::{InFlightDeadLetter, Parking, RedeliveryKind};
use crate::relay::reader_task::{ReaderHandle, Request};
use crate::relay::topic_health::{TopicNumber, TopicState};
use crate::store::{DeadLetter, RowId};

/// With so many records in flight nobody waits for a single acknowledgement, and taking them one by one
/// would cost more than sending.
const MANY: usize = 1024;

/// How long acknowledgements are gathered then.
const GATHERING: Duration = Duration::from_millis(1);

/// What settlements say together.
#[derive(Default)]
struct Noted {
    delivered: u64,
    /// Topics of which records were acknowledged.
    moved: Vec<TopicNumber>,
    /// Suspect topics of which others have proven that they take no records.
    proven: Vec<TopicNumber>,
    /// The first error that no dead letter settles.
    interruption: Option<PublishError>,
}

impl<P: Publisher> Delivery<P> {
    /// Waits until something is settled. Cancel safe; [`note`](Self::note) has to follow.
    pub(in crate::relay) async fn settled(&mut self) {
        if self.outstanding() >= MANY {
            tokio::time::sleep(GATHERING).await;
        }
        self.publisher.settled(&mut self.settlements).await;
    }

    /// Takes note of what was settled. Records that cannot be cured are dead-lettered through `feed`; the error of any
    /// other failed record is returned: it has to be read and sent again. Topics that are proven to take no
    /// records are suspended.
    pub(in crate::relay) fn note(&mut self, feed: Option<&ReaderHandle>) -> Result<(), PublishError> {
        failpoint::reach(Failpoint::Acknowledged);
        let mut settlements = std::mem::take(&mut self.settlements);
        let mut noted = Noted::default();
        for Settlement { ticket, result } in settlements.drain(..) {
            if let Err(error) = &result {
                self.telemetry.publish_error(error.kind());
                match Parking::is_of_the_log(ticket) {
                    true => self.telemetry.record_failed(ticket, error.kind()),
                    false => self.telemetry.redelivery_failed(ticket, error.kind()),
                }
            }
            match (self.parking.settle(ticket), result) {
                (Some(in_flight), result) => {
                    noted.delivered += u64::from(result.is_ok());
                    self.redelivery_settled(ticket, &in_flight, result, feed);
                }
                (None, Ok(())) => self.acknowledged(ticket, &mut noted),
                (None, Err(error)) => self.failed(ticket, *error, feed, &mut noted),
            }
        }
        self.settlements = settlements;
        self.suspend_proven(noted.moved, noted.proven);
        self.telemetry.delivered(noted.delivered);
        self.telemetry.settled(self.in_flight.oldest());
        self.telemetry
            .redeliveries_settled(self.parking.oldest_redelivery());
        if let Some(feed) = feed.filter(|_| noted.delivered > 0) {
            self.broker.settled(&self.publisher, feed);
        }
        self.show_in_flight();
        match noted.interruption {
            Some(error) => Err(error),
            None => self.take_back_overtaken(),
        }
    }

    /// A record of the log was acknowledged.
    fn acknowledged(&mut self, ticket: Ticket, noted: &mut Noted) {
        noted.delivered += 1;
        self.keys.acknowledged(ticket);
        if let Some(settled) = self.in_flight.settle(ticket) {
            let topic = settled.topic;
            self.count_delivered(settled);
            if noted.moved.last() != Some(&topic) {
                noted.moved.push(topic);
            }
            noted.proven.append(&mut self.topics.acknowledged(topic, ticket));
        }
    }

    /// A record of the log was not taken.
    fn failed(
        &mut self,
        ticket: Ticket,
        error: PublishError,
        feed: Option<&ReaderHandle>,
        noted: &mut Noted,
    ) {
        let topic = self.in_flight.fail(ticket);
        if let (PublishErrorKind::Record(reason), Some(feed)) = (error.kind(), feed) {
            self.in_flight.mark_pending(ticket);
            self.dead_letter(ticket, reason, &error, feed);
            self.record_died(ticket);
            return;
        }
        if let (PublishErrorKind::Topic, Some(topic)) = (error.kind(), topic) {
            self.suspect(topic, &error);
        }
        noted.interruption.get_or_insert(error);
    }

    /// Suspends the suspect topics of which others have proven that they take no records, unless all were silent for long.
    fn suspend_proven(&mut self, moved: Vec<TopicNumber>, proven: Vec<TopicNumber>) {
        if self.in_flight.moved(moved) >= self.patience / 2 {
            let next = self.in_flight.next_ticket();
            self.topics.postpone(next, Instant::now() + self.patience);
            return;
        }
        for topic in proven {
            if matches!(self.topics.state(topic), TopicState::Suspect(_)) {
                self.suspend(topic, "");
            }
        }
    }

    /// A redelivery's record that failed must not be overtaken by those of its kind that are behind it.
    fn take_back_overtaken(&self) -> Result<(), PublishError> {
        let overtaken = |kind: &RedeliveryKind| match *kind {
            RedeliveryKind::Parked(topic) => !self.topics.blocks(topic) && self.parking.in_flight(*kind) > 0,
            RedeliveryKind::Replay => false,
        };
        if !self.failed_redeliveries.iter().any(overtaken) {
            return Ok(());
        }
        let withdrawn = "a parked record was not taken; those behind it are taken back";
        Err(PublishError::new(PublishErrorKind::Topic, withdrawn))
    }

    /// Takes note of a record that stands in the dead letters.
    fn redelivery_settled(
        &mut self,
        ticket: Ticket,
        in_flight: &InFlightDeadLetter,
        result: Result<(), Box<PublishError>>,
        feed: Option<&ReaderHandle>,
    ) {
        if in_flight.is_superseded {
            if result.is_ok() {
                self.count_redelivered(ticket, in_flight);
            }
            return;
        }
        match result.is_ok() {
            true => {
                self.count_redelivered(ticket, in_flight);
                self.keys.acknowledged(ticket);
            }
            false => self.dead_letter_failed(ticket, in_flight.row),
        }
        let Err(error) = result else {
            self.parking.delivered(in_flight.kind, in_flight.row);
            if Parking::is_of_the_log(ticket) {
                // If its row is read again, it must not be parked again.
                match self.in_flight.knows(ticket) {
                    true => drop(self.in_flight.settle(ticket)),
                    false => drop(self.acknowledged_late.insert(in_flight.row)),
                }
            }
            return;
        };
        let reason = match (error.kind(), in_flight.kind) {
            (PublishErrorKind::Record(reason), _) => reason,
            (PublishErrorKind::Topic, RedeliveryKind::Replay) => TOPIC_UNAVAILABLE,
            (PublishErrorKind::Topic, RedeliveryKind::Parked(_))
            | (
                PublishErrorKind::Unavailable
                | PublishErrorKind::Withdrawn
                | PublishErrorKind::Full
                | PublishErrorKind::Unprepared
                | PublishErrorKind::Fatal
                | PublishErrorKind::Configuration,
                _,
            ) => {
                self.failed_redeliveries.push(in_flight.kind);
                return;
            }
        };
        match feed {
            Some(feed) => {
                self.fail_again(in_flight.row, reason, &error, feed);
                if let RedeliveryKind::Parked(topic) = in_flight.kind {
                    self.telemetry
                        .dead_lettered(Some(self.topics.name(topic)), reason);
                }
            }
            None => self.failed_redeliveries.push(in_flight.kind),
        }
    }

    /// A record that was sent from the dead letters is dead.
    pub(in crate::relay) fn fail_again(
        &mut self,
        row: RowId,
        reason: &'static str,
        error: &PublishError,
        feed: &ReaderHandle,
    ) {
        let (seq, id) = row;
        tracing::error!(event = "replay_failed", seq, %id, reason, %error, "a record of the dead letters cannot be delivered; it stays there");
        feed.ask(Request::FailAgain(DeadLetter {
            seq,
            id,
            reason,
            error: error.to_string(),
        }));
    }

    /// A record is in the dead letters.
    pub(in crate::relay) fn dead_letter_written(&mut self, ticket: Ticket, reason: &str, at: Revision) {
        self.keys.passed(at);
        self.keys.written(ticket, at);
        if let Some(row) = self.in_flight.unsettled_row(ticket) {
            self.unconfirmed.confirmed(&row);
        }
        let settled = self.in_flight.settle(ticket);
        let topic = settled.map(|settled| self.topics.name(settled.topic));
        self.telemetry.dead_lettered(topic, reason);
    }

    pub(in crate::relay) fn dead_letter(
        &mut self,
        ticket: Ticket,
        reason: &'static str,
        error: &PublishError,
        feed: &ReaderHandle,
    ) {
        let Some((seq, id)) = self.in_flight.unsettled_row(ticket) else {
            return;
        };
        tracing::error!(event = "dead_letter", seq, %id, reason, %error, "a record cannot be delivered; it goes to the dead letters");
        feed.ask(Request::WriteDeadLetter(
            ticket,
            DeadLetter {
                seq,
                id,
                reason,
                error: error.to_string(),
            },
        ));
    }
}
