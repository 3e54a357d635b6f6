//! Records between the reader and the broker: what a relay keeps from one reader, and one lease, to the next.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::RelayConfig;
use super::broker::Broker;
use super::feed::{Feed, Request};
use super::in_flight::{Bounds, InFlight, weight};
use super::informed::Informed;
use super::keys::{Keys, Moment};
use super::parking::{Afloat, Errand, Parking};
use super::report::{RelayProgress, RelayReport};
use super::topics::{Standing, TopicNumber, Topics};
use super::unconfirmed::Unconfirmed;
use crate::failpoint::{self, Place};
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, Ticket};
use crate::record::{OutboxRecord, WireOptions};
use crate::store::{DeadLetter, RowId};

/// With so many records on their way nobody waits for a single acknowledgement, and taking them one by one
/// would cost more than sending.
const MANY: usize = 1024;

/// How long acknowledgements are gathered then.
const GATHERING: Duration = Duration::from_millis(1);

/// Records that are remembered at the most, in multiples of those on their way: a topic that is silent or
/// doubtful holds the cursor back, and others pass it by so much.
const REMEMBERED: usize = 4;

/// The least number of them, for bounds that are small.
const REMEMBERED_AT_LEAST: usize = 20_000;

/// The word for programs of records whose topic takes none.
pub(super) const TOPIC_UNAVAILABLE: &str = "topic_unavailable";

/// The publisher, and the fate of everything it was given.
pub(super) struct Delivery<P> {
    pub(super) publisher: P,
    pub(super) in_flight: InFlight,
    pub(super) topics: Topics,
    pub(super) parking: Parking,
    /// Keys of topics that block.
    pub(super) keys: Keys,
    /// Errands whose record did not go through.
    pub(super) failed_errands: Vec<Errand>,
    pub(super) report: RelayReport,
    pub(super) progress: RelayProgress,
    /// Whether this term has got anywhere, and the store was told so.
    pub(super) got_somewhere: bool,
    pub(super) broker: Broker,
    /// Rows that are settled and will be read again, because the cursor was not written in time.
    settled_before: HashSet<RowId>,
    /// Rows that an earlier reader had left behind on their way, and that were delivered since. This reader may
    /// have read them already, so only the next one can be told to leave them out.
    landed_late: HashSet<RowId>,
    /// Rows that may be in the dead letters already, and will be read again.
    pub(super) unconfirmed: Unconfirmed,
    settlements: Vec<Settlement>,
    pub(super) wire: WireOptions,
    bounds: Bounds,
    patience: Duration,
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
            topics: Topics::new(config),
            parking: Parking::default(),
            keys: Keys::default(),
            failed_errands: Vec::new(),
            report: RelayReport::default(),
            progress: RelayProgress::default(),
            got_somewhere: false,
            broker: Broker::default(),
            settled_before: HashSet::new(),
            landed_late: HashSet::new(),
            unconfirmed: Unconfirmed::default(),
            settlements: Vec::new(),
            wire,
            patience: config.set_aside_after,
            bounds: Bounds {
                records: config.max_in_flight_records,
                bytes: config.max_in_flight_bytes,
            },
        }
    }

    /// Whether settled records will be read again. The cursor cannot name them one by one: to pass them, what
    /// stands between has to be settled too.
    pub(super) fn knows_settled_ahead(&self) -> bool {
        !self.settled_before.is_empty() || !self.landed_late.is_empty()
    }

    /// Records that another relay may send again: those on their way, and those that are settled though the
    /// cursor does not say so.
    pub(super) fn may_be_repeated(&self) -> usize {
        self.outstanding() + self.in_flight.settled() + self.settled_before.len() + self.landed_late.len()
    }

    /// Whether more is settled than the database says. Only to be asked when no reader is at work.
    pub(super) fn database_is_behind(&self) -> bool {
        let settled = self.in_flight.settled() > 0;
        settled || self.knows_settled_ahead() || !self.parking.is_clean()
    }

    /// Records that the publisher has, from the log or from the dead letters.
    pub(super) fn outstanding(&self) -> usize {
        self.in_flight.outstanding() + self.parking.all_afloat()
    }

    /// The first of them; those of the log come before those of the dead letters.
    pub(super) fn oldest(&self) -> Option<Ticket> {
        let (in_flight, afloat) = (self.in_flight.oldest(), self.parking.oldest());
        in_flight.into_iter().chain(afloat).min()
    }

    /// The reader has come to the log's end: what it did not meet is behind the cursor, and will not come again.
    pub(super) fn met_all(&mut self) {
        self.settled_before.clear();
        self.unconfirmed.met_all();
    }

    /// Hands a record over, if there is room and it is not settled already. One whose topic is set aside is
    /// parked, one whose topic is doubtful is held back.
    pub(super) fn offer(
        &mut self,
        page: &Informed,
        index: usize,
        record: &OutboxRecord<'_>,
        feed: &Feed,
    ) -> Offer {
        let ticket = self.in_flight.next_ticket();
        let offer = self.try_offer(page, index, record, feed);
        if matches!(offer, Offer::Taken) {
            let told = self.in_flight.is_told(ticket);
            self.unconfirmed.met((record.seq, record.id), told);
        }
        offer
    }

    fn try_offer(&mut self, page: &Informed, index: usize, record: &OutboxRecord<'_>, feed: &Feed) -> Offer {
        let window = page.page.window();
        let topic = self.topics.number(record.topic);
        let row = (record.seq, record.id);
        if self.forget_settled(&row) {
            self.in_flight.already_settled(window, record, topic);
            return Offer::Taken;
        }
        if self.remembers_enough() {
            return Offer::NoRoom;
        }
        let ticket = self.in_flight.next_ticket();
        match self.topics.standing(topic) {
            Standing::Direct => {}
            Standing::Doubtful(_) => {
                self.in_flight.held(window, record, topic);
                return Offer::Taken;
            }
            Standing::Aside { .. } => {
                self.in_flight.tell_unsent(window, record, topic);
                self.parking.park(topic, ticket, row);
                return Offer::Taken;
            }
        }
        let blocks = self.topics.blocks(topic);
        if blocks {
            let way = self
                .keys
                .way(topic, record.key, page.moment, page.is_blocked(index));
            if let Some(offer) = self.offer_in_order(window, record, topic, way) {
                return offer;
            }
        }
        if !self.has_room(topic, weight(record)) {
            return Offer::NoRoom;
        }
        let Err(error) = self.publisher.send(ticket, record, &self.wire) else {
            self.in_flight.hand_over(window, record, topic);
            if blocks {
                self.keys.sent(topic, record.key, ticket);
            }
            failpoint::reach(Place::Produced);
            return Offer::Taken;
        };
        match error.kind() {
            PublishErrorKind::Record(reason) => {
                self.in_flight.tell_unsent(window, record, topic);
                if blocks {
                    self.keys.tell(topic, record.key, ticket);
                }
                self.bury(ticket, reason, &error, feed);
                Offer::Taken
            }
            PublishErrorKind::Unprepared => Offer::Unprepared,
            PublishErrorKind::Topic => {
                self.doubt(topic, &error);
                self.in_flight.held(window, record, topic);
                Offer::Taken
            }
            // With nothing on its way there is nothing to wait for.
            PublishErrorKind::Full if self.in_flight.outstanding() > 0 => Offer::NoRoom,
            PublishErrorKind::Full
            | PublishErrorKind::Unavailable
            | PublishErrorKind::Withdrawn
            | PublishErrorKind::Fatal
            | PublishErrorKind::Configuration => Offer::Failed(error),
        }
    }

    /// Whether no other record can be remembered.
    pub(super) fn remembers_enough(&self) -> bool {
        let most = (self.bounds.records.saturating_mul(REMEMBERED)).max(REMEMBERED_AT_LEAST);
        self.in_flight.len() >= most
    }

    /// Sets topics aside that the broker refuses, once their records have filled what may be remembered: those of
    /// other topics cannot be reached behind them, so that nothing else is ever proven. Its refusal shows that the
    /// broker is there.
    pub(super) fn make_way(&mut self) {
        if !self.remembers_enough() || self.outstanding() > 0 {
            return;
        }
        for topic in self.topics.refused_for(self.patience) {
            self.set_aside(topic, "");
        }
    }

    /// Whether a row is settled though it was read again; asked once for each.
    pub(super) fn forget_settled(&mut self, row: &RowId) -> bool {
        (!self.settled_before.is_empty() && self.settled_before.remove(row))
            || (!self.landed_late.is_empty() && self.landed_late.remove(row))
    }

    /// Where there are several topics, each may have half of what is on its way, so that one whose records do
    /// not come back leaves room for the others.
    pub(super) fn has_room(&self, topic: TopicNumber, bytes: usize) -> bool {
        let share = match self.topics.are_several() {
            true => Bounds {
                records: self.bounds.records.div_ceil(2),
                bytes: self.bounds.bytes.div_ceil(2),
            },
            false => self.bounds,
        };
        let excused = self.topics.doubtful().map(|(topic, _)| topic);
        let waiting = (self.keys.all_waiting(), self.keys.waiting(topic));
        self.in_flight
            .has_room(topic, bytes, self.bounds, share, excused, waiting)
    }

    /// A record of a topic failed, and the topic is to blame.
    pub(super) fn doubt(&mut self, topic: TopicNumber, error: &PublishError) {
        tracing::warn!(topic = self.topics.name(topic), %error, "a topic does not take records");
        self.topics
            .failed(topic, self.in_flight.next_ticket(), error.to_string());
        self.keys.hold(topic);
    }

    /// Sends a record from the dead letters.
    pub(super) fn send_errand(
        &mut self,
        errand: Errand,
        record: &OutboxRecord<'_>,
    ) -> Result<(), PublishError> {
        let ticket = self.parking.next_ticket();
        self.publisher.send(ticket, record, &self.wire)?;
        let row = (record.seq, record.id);
        self.parking.hand_over(row, errand, weight(record));
        Ok(())
    }

    /// Whether the publisher may be given another record of an errand.
    pub(super) fn has_room_for(&self, errand: Errand, record: &OutboxRecord<'_>) -> bool {
        let records = self.parking.afloat(errand);
        let bytes = self.parking.afloat_bytes() + weight(record);
        records == 0 || (records < self.bounds.records.div_ceil(4) && bytes <= self.bounds.bytes.div_ceil(2))
    }

    /// Waits until something is settled. Cancel safe; [`note`](Self::note) has to follow.
    pub(super) async fn settled(&mut self) {
        if self.outstanding() >= MANY {
            tokio::time::sleep(GATHERING).await;
        }
        self.publisher.settled(&mut self.settlements).await;
    }

    /// Takes note of what was settled. Records that cannot be cured are buried through `feed`; the error of any
    /// other failed record is returned: it has to be read and sent again. Topics that are proven to take no
    /// records are set aside.
    pub(super) fn note(&mut self, feed: Option<&Feed>) -> Result<(), PublishError> {
        failpoint::reach(Place::Acknowledged);
        let mut settlements = std::mem::take(&mut self.settlements);
        let mut delivered = 0;
        let mut interruption = Ok(());
        let (mut moved, mut proven) = (Vec::new(), Vec::new());
        for Settlement { ticket, result } in settlements.drain(..) {
            if let Some(afloat) = self.parking.landed(ticket) {
                delivered += u64::from(result.is_ok());
                match result.is_ok() {
                    true => self.keys.acknowledged(ticket),
                    false => self.letter_failed(ticket, afloat.row),
                }
                self.landed(ticket, &afloat, result, feed);
                continue;
            }
            let Err(error) = result else {
                delivered += 1;
                self.keys.acknowledged(ticket);
                if let Some(topic) = self.in_flight.settle(ticket) {
                    if moved.last() != Some(&topic) {
                        moved.push(topic);
                    }
                    proven.append(&mut self.topics.acknowledged(topic, ticket));
                }
                continue;
            };
            let topic = self.in_flight.fail(ticket);
            match (error.kind(), feed) {
                (PublishErrorKind::Record(reason), Some(feed)) => {
                    self.in_flight.tell(ticket);
                    self.bury(ticket, reason, &error, feed);
                    self.record_died(ticket);
                }
                (kind, _) => {
                    if let (PublishErrorKind::Topic, Some(topic)) = (kind, topic) {
                        self.doubt(topic, &error);
                    }
                    if interruption.is_ok() {
                        interruption = Err(*error);
                    }
                }
            }
        }
        self.settlements = settlements;
        if self.in_flight.moved(moved) >= self.patience / 2 {
            let next = self.in_flight.next_ticket();
            self.topics.postpone(next, Instant::now() + self.patience);
            proven.clear();
        }
        for topic in proven {
            if matches!(self.topics.standing(topic), Standing::Doubtful(_)) {
                self.set_aside(topic, "");
            }
        }
        self.report.delivered += delivered;
        self.progress.add_delivered(delivered);
        if delivered > 0 {
            self.progress.well();
            if let Some(feed) = feed {
                self.broker.settled(&self.publisher, feed);
            }
        }
        self.progress.set_in_flight(self.outstanding());
        // One that failed must not be overtaken by those of its errand that are behind it.
        let overtaken = |errand: &&Errand| match **errand {
            Errand::Parked(topic) => !self.topics.blocks(topic) && self.parking.afloat(**errand) > 0,
            Errand::Replay => false,
        };
        if interruption.is_ok() && self.failed_errands.iter().find(overtaken).is_some() {
            let withdrawn = "a parked record was not taken; those behind it are taken back";
            return Err(PublishError::new(PublishErrorKind::Topic, withdrawn));
        }
        interruption
    }

    /// Takes note of a record that stands in the dead letters.
    fn landed(
        &mut self,
        ticket: Ticket,
        afloat: &Afloat,
        result: Result<(), Box<PublishError>>,
        feed: Option<&Feed>,
    ) {
        let Err(error) = result else {
            self.parking.delivered(afloat.errand, afloat.row);
            if Parking::is_of_the_log(ticket) {
                // If its row is read again, it must not be parked again.
                match self.in_flight.knows(ticket) {
                    true => drop(self.in_flight.settle(ticket)),
                    false => drop(self.landed_late.insert(afloat.row)),
                }
            }
            return;
        };
        let reason = match (error.kind(), afloat.errand) {
            (PublishErrorKind::Record(reason), _) => reason,
            (PublishErrorKind::Topic, Errand::Replay) => TOPIC_UNAVAILABLE,
            _ => {
                self.failed_errands.push(afloat.errand);
                return;
            }
        };
        match feed {
            Some(feed) => {
                self.fail_again(afloat.row, reason, &error, feed);
                if afloat.errand != Errand::Replay {
                    self.report.dead_lettered += 1;
                    self.progress.add_dead_lettered(1);
                }
            }
            None => self.failed_errands.push(afloat.errand),
        }
    }

    /// A record that was sent from the dead letters is dead.
    pub(super) fn fail_again(&mut self, row: RowId, reason: &'static str, error: &PublishError, feed: &Feed) {
        let (seq, id) = row;
        tracing::error!(seq, %id, reason, %error, "a record of the dead letters cannot be delivered; it stays there");
        feed.ask(Request::FailAgain(DeadLetter {
            seq,
            id,
            reason,
            error: error.to_string(),
        }));
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
    pub(super) fn buried(&mut self, ticket: Ticket, at: Moment) {
        self.keys.passed(at);
        self.keys.written(ticket, at);
        if let Some(row) = self.in_flight.unsettled_row(ticket) {
            self.unconfirmed.confirmed(&row);
        }
        self.in_flight.settle(ticket);
        self.report.dead_lettered += 1;
        self.progress.add_dead_lettered(1);
    }

    /// Forgets all places in the log: the next reader starts at the persisted cursor. Only to be called when
    /// nothing is outstanding.
    pub(super) fn start_over(&mut self) {
        self.broker.tell_again();
        self.unconfirmed.start_over(self.in_flight.told());
        self.settled_before.extend(self.in_flight.start_over());
        self.settled_before.extend(self.landed_late.drain());
        self.parking.start_over();
        self.keys.start_over();
        self.failed_errands.clear();
    }

    pub(super) fn bury(&mut self, ticket: Ticket, reason: &'static str, error: &PublishError, feed: &Feed) {
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
