//! Records between the reader and the broker: what a relay keeps from one reader, and one lease, to the next.

use std::collections::HashSet;
use std::time::Duration;

use super::RelayConfig;
use super::broker::Broker;
use super::feed::{Feed, Request};
use super::in_flight::{InFlight, RowId, weight};
use super::report::{RelayProgress, RelayReport};
use crate::failpoint::{self, Place};
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, Ticket};
use crate::record::{OutboxRecord, WireOptions};
use crate::store::DeadLetter;

/// With so many records on their way nobody waits for a single acknowledgement, and taking them one by one
/// would cost more than sending.
const MANY: usize = 1024;

/// How long acknowledgements are gathered then.
const GATHERING: Duration = Duration::from_millis(1);

/// The publisher, and the fate of everything it was given.
pub(super) struct Delivery<P> {
    pub(super) publisher: P,
    pub(super) in_flight: InFlight,
    pub(super) report: RelayReport,
    pub(super) progress: RelayProgress,
    pub(super) broker: Broker,
    /// Rows that are settled and will be read again, because the cursor was not written in time.
    settled_before: HashSet<RowId>,
    settlements: Vec<Settlement>,
    wire: WireOptions,
    max_records: usize,
    max_bytes: usize,
}

/// What became of an offer.
pub(super) enum Offer {
    /// The record needs no more attention here.
    Taken,
    /// It has to wait until others are settled.
    NoRoom,
    /// Its topic has to be prepared.
    Unprepared,
    /// The publisher cannot go on.
    Failed(PublishError),
}

impl<P: Publisher> Delivery<P> {
    pub(super) fn new(publisher: P, wire: WireOptions, config: &RelayConfig) -> Self {
        Self {
            publisher,
            in_flight: InFlight::default(),
            report: RelayReport::default(),
            progress: RelayProgress::default(),
            broker: Broker::default(),
            settled_before: HashSet::new(),
            settlements: Vec::new(),
            wire,
            max_records: config.max_in_flight_records,
            max_bytes: config.max_in_flight_bytes,
        }
    }

    /// Whether a record that was read again is settled already.
    pub(super) fn is_settled(&self, record: &OutboxRecord<'_>) -> bool {
        self.settled_before.contains(&(record.seq, record.id))
    }

    /// Whether more is settled than the cursor says. Only to be asked when no reader is at work.
    pub(super) fn cursor_is_behind(&self) -> bool {
        self.in_flight.settled_to().is_some() || !self.settled_before.is_empty()
    }

    /// The reader has come to the log's end: what it did not meet is behind the cursor, and will not come again.
    pub(super) fn met_all(&mut self) {
        self.settled_before.clear();
    }

    /// Hands a record over, if there is room and it is not settled already.
    pub(super) fn offer(&mut self, window: u64, record: &OutboxRecord<'_>, feed: &Feed) -> Offer {
        if !self.settled_before.is_empty() && self.settled_before.remove(&(record.seq, record.id)) {
            self.in_flight.already_settled(window, record);
            return Offer::Taken;
        }
        if !self
            .in_flight
            .has_room(weight(record), self.max_records, self.max_bytes)
        {
            return Offer::NoRoom;
        }
        let ticket = self.in_flight.next_ticket();
        let Err(error) = self.publisher.send(ticket, record, &self.wire) else {
            self.in_flight.hand_over(window, record);
            failpoint::reach(Place::Produced);
            return Offer::Taken;
        };
        match error.kind() {
            PublishErrorKind::Record(reason) => {
                self.in_flight.refused(window, record);
                self.bury(ticket, reason, &error, feed);
                Offer::Taken
            }
            PublishErrorKind::Unprepared => Offer::Unprepared,
            // With nothing on its way there is nothing to wait for.
            PublishErrorKind::Full if self.in_flight.outstanding() > 0 => Offer::NoRoom,
            PublishErrorKind::Full
            | PublishErrorKind::Topic
            | PublishErrorKind::Unavailable
            | PublishErrorKind::Withdrawn
            | PublishErrorKind::Fatal
            | PublishErrorKind::Configuration => Offer::Failed(error),
        }
    }

    /// Waits until something is settled. Cancel safe; [`note`](Self::note) has to follow.
    pub(super) async fn settled(&mut self) {
        if self.in_flight.outstanding() >= MANY {
            tokio::time::sleep(GATHERING).await;
        }
        self.publisher.settled(&mut self.settlements).await;
    }

    /// Takes note of what was settled. Records that cannot be cured are buried through `feed`; the error of any
    /// other failed record is returned: it has to be read and sent again.
    pub(super) fn note(&mut self, feed: Option<&Feed>) -> Result<(), PublishError> {
        failpoint::reach(Place::Acknowledged);
        let mut settlements = std::mem::take(&mut self.settlements);
        let mut delivered = 0;
        let mut interruption = Ok(());
        for Settlement { ticket, result } in settlements.drain(..) {
            let Err(error) = result else {
                self.in_flight.settle(ticket);
                delivered += 1;
                continue;
            };
            self.in_flight.fail(ticket);
            match (error.kind(), feed) {
                (PublishErrorKind::Record(reason), Some(feed)) => self.bury(ticket, reason, &error, feed),
                _ if interruption.is_ok() => interruption = Err(*error),
                _ => {}
            }
        }
        self.settlements = settlements;
        self.report.delivered += delivered;
        self.progress.add_delivered(delivered);
        self.progress.set_in_flight(self.in_flight.outstanding());
        if let Some(feed) = feed.filter(|_| delivered > 0) {
            self.broker.settled(&self.publisher, feed);
        }
        interruption
    }

    /// The error of a client whose oldest record is not acknowledged for long, if the broker does answer.
    pub(super) async fn stuck(&mut self) -> Option<PublishError> {
        let stuck = "a record was not acknowledged for long, though the broker answers: the client is stuck";
        self.publisher
            .answers()
            .await
            .then(|| PublishError::new(PublishErrorKind::Fatal, stuck))
    }

    /// A record is in the dead letters.
    pub(super) fn buried(&mut self, ticket: Ticket) {
        self.in_flight.settle(ticket);
        self.report.dead_lettered += 1;
        self.progress.add_dead_lettered(1);
    }

    /// Forgets all places in the log: the next reader starts at the persisted cursor. Only to be called when
    /// nothing is outstanding.
    pub(super) fn start_over(&mut self) {
        self.broker.tell_again();
        self.settled_before.extend(self.in_flight.start_over());
    }

    fn bury(&mut self, ticket: Ticket, reason: &'static str, error: &PublishError, feed: &Feed) {
        let Some((seq, id)) = self.in_flight.unsettled_row(ticket) else {
            return;
        };
        tracing::error!(seq, %id, reason, %error, "a record cannot be delivered; it goes to the dead letters");
        feed.ask(Request::Bury(
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
