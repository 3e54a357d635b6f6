//! Records between the reader and the broker: what a relay keeps from one reader, and one lease, to the next.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::in_flight::InFlight;
use crate::failpoint::{self, Failpoint};
use crate::metrics::RelayMetrics;
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, Ticket};
use crate::record::{OutboxRecord, WireOptions};
use crate::relay::claims::CursorMove;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::key_order::Keys;
use crate::relay::dead_letters::lookup::AnnotatedPage;
use crate::relay::dead_letters::parking::{Parking, ParkingQueue, RedeliveryKind};
use crate::relay::dead_letters::unconfirmed::Unconfirmed;
use crate::relay::load::{Bounds, weight};
use crate::relay::reader_task::ReaderHandle;
use crate::relay::reader_task::cluster::Broker;
use crate::relay::telemetry::Telemetry;
use crate::relay::throttle::{Allowance, Throttling};
use crate::relay::topic_health::{TopicHealth, TopicNumber, TopicState};
use crate::store::{Interventions, Reader, RowId, StoreError};

/// Records that are remembered at the most, in multiples of those in flight: a topic that is silent or
/// suspect holds the cursor back, and others pass it by so much.
const REMEMBERED: usize = 4;

/// The least number of them, for bounds that are small.
const REMEMBERED_AT_LEAST: usize = 20_000;

/// The publisher, and the fate of everything it was given.
pub(in crate::relay) struct Delivery<P> {
    pub(super) publisher: P,
    pub(super) in_flight: InFlight,
    pub(super) topics: TopicHealth,
    pub(super) parking: Parking,
    /// Keys of topics that block.
    pub(super) keys: Keys,
    /// Redeliveries whose record did not go through.
    pub(super) failed_redeliveries: Vec<RedeliveryKind>,
    pub(super) telemetry: Telemetry,
    /// Whether this term has made progress, and the store was asked to record it.
    pub(super) made_progress: bool,
    pub(super) broker: Broker,
    /// What operators have decided, as the present run follows it.
    pub(super) interventions: Interventions,
    pub(super) throttling: Throttling,
    cursor_move: CursorMove,
    /// Rows that are settled and will be read again, because the cursor was not written in time.
    settled_before: HashSet<RowId>,
    /// Rows that an earlier reader had left behind on their way, and that were delivered since. This reader may
    /// have read them already, so only the next one can leave them out.
    pub(super) acknowledged_late: HashSet<RowId>,
    /// Rows that may be in the dead letters already, and will be read again.
    pub(super) unconfirmed: Unconfirmed,
    pub(super) settlements: Vec<Settlement>,
    pub(super) wire: WireOptions,
    bounds: Bounds,
    pub(super) patience: Duration,
}

/// What became of an offer.
pub(in crate::relay) enum Offer {
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
    pub(in crate::relay) fn new(
        publisher: P,
        wire: WireOptions,
        config: &RelayConfig,
        metrics: RelayMetrics,
    ) -> Self {
        Self {
            publisher,
            in_flight: InFlight::default(),
            topics: TopicHealth::new(config),
            parking: Parking::default(),
            keys: Keys::default(),
            failed_redeliveries: Vec::new(),
            telemetry: Telemetry::new(metrics, config.record_spans),
            made_progress: false,
            broker: Broker::default(),
            interventions: Interventions::default(),
            throttling: Throttling::default(),
            cursor_move: CursorMove::None,
            settled_before: HashSet::new(),
            acknowledged_late: HashSet::new(),
            unconfirmed: Unconfirmed::default(),
            settlements: Vec::new(),
            wire,
            patience: config.suspend_after,
            bounds: Bounds {
                records: config.max_in_flight_records,
                bytes: config.max_in_flight_bytes,
            },
        }
    }

    /// A term begins.
    pub(in crate::relay) fn begin_term(&mut self) {
        self.broker.ask_again();
        self.made_progress = false;
    }

    pub(in crate::relay) fn publisher(&mut self) -> &mut P {
        &mut self.publisher
    }

    pub(in crate::relay) fn wire(&self) -> &WireOptions {
        &self.wire
    }

    pub(in crate::relay) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(in crate::relay) fn telemetry_mut(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    /// Whether settled records will be read again. The cursor cannot name them one by one: to pass them, what
    /// stands between has to be settled too.
    pub(super) fn knows_settled_ahead(&self) -> bool {
        !self.settled_before.is_empty() || !self.acknowledged_late.is_empty()
    }

    /// Records that another relay may send again: those in flight, and those that are settled though the
    /// database does not say so.
    pub(in crate::relay) fn may_be_repeated(&self) -> usize {
        self.outstanding()
            + self.in_flight.settled()
            + self.settled_before.len()
            + self.acknowledged_late.len()
            + self.parking.to_take_out()
    }

    /// Whether more is settled than the database says. Only to be asked when no reader is at work.
    pub(in crate::relay) fn database_is_behind(&self) -> bool {
        let settled = self.in_flight.settled() > 0;
        settled || self.knows_settled_ahead() || !self.parking.is_clean()
    }

    /// Records that the publisher has, from the log or from the dead letters.
    pub(in crate::relay) fn outstanding(&self) -> usize {
        self.in_flight.outstanding() + self.parking.all_in_flight()
    }

    /// Records of the log that the publisher has.
    pub(in crate::relay) fn outstanding_of_the_log(&self) -> usize {
        self.in_flight.outstanding()
    }

    /// No topic is suspect any more: what was held back may be sent.
    pub(in crate::relay) fn recover_suspects(&mut self) {
        self.topics.recover_suspects();
    }

    /// The first of them; those of the log come before those of the dead letters.
    pub(in crate::relay) fn oldest(&self) -> Option<Ticket> {
        let (of_the_log, redelivered) = (self.in_flight.oldest(), self.parking.oldest());
        of_the_log.into_iter().chain(redelivered).min()
    }

    /// The reader has come to the log's end: what it did not meet is behind the cursor, and will not come again.
    pub(in crate::relay) fn met_all(&mut self) {
        self.settled_before.clear();
        self.unconfirmed.met_all();
    }

    /// Hands a record over, if there is room and it is not settled already. One whose topic is suspended is
    /// parked, one whose topic is suspect is held back.
    pub(in crate::relay) fn offer(
        &mut self,
        page: &AnnotatedPage,
        index: usize,
        record: &OutboxRecord<'_>,
        feed: &ReaderHandle,
    ) -> Offer {
        let ticket = self.in_flight.next_ticket();
        let offer = self.try_offer(page, index, record, feed);
        if matches!(offer, Offer::Taken) {
            let pending = self.in_flight.is_pending(ticket);
            self.unconfirmed.met((record.seq, record.id), pending);
        }
        offer
    }

    fn try_offer(
        &mut self,
        page: &AnnotatedPage,
        index: usize,
        record: &OutboxRecord<'_>,
        feed: &ReaderHandle,
    ) -> Offer {
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
        if self.keep_back(window, record, topic, feed) {
            return Offer::Taken;
        }
        match self.topics.state(topic) {
            TopicState::Healthy => {}
            TopicState::Suspect(_) => {
                self.in_flight.held(window, record, topic);
                return Offer::Taken;
            }
            TopicState::Suspended { .. } => return self.offer_to_park(window, record, topic),
        }
        if self.topics.blocks(topic) {
            let admission = self
                .keys
                .admission(topic, record.key, page.revision, page.is_blocked(index));
            if let Some(offer) = self.offer_in_order(window, record, topic, admission) {
                return offer;
            }
        }
        if !self.has_room(topic, weight(record)) {
            return Offer::NoRoom;
        }
        match self.throttling.allows(record.topic, Instant::now()) {
            Allowance::Now => {}
            Allowance::LogWaits(_) => return Offer::NoRoom,
            Allowance::TopicWaits(_) => {
                self.throttle(topic);
                return self.offer_to_park(window, record, topic);
            }
        }
        self.offer_to_publisher(window, record, topic, feed)
    }

    /// A record of a topic that is suspended.
    fn offer_to_park(&mut self, window: u64, record: &OutboxRecord<'_>, topic: TopicNumber) -> Offer {
        let ticket = self.in_flight.next_ticket();
        self.in_flight.push_pending(window, record, topic);
        self.parking
            .park(ParkingQueue::Topic(topic), ticket, (record.seq, record.id));
        Offer::Taken
    }

    /// A record that nothing keeps from being sent.
    fn offer_to_publisher(
        &mut self,
        window: u64,
        record: &OutboxRecord<'_>,
        topic: TopicNumber,
        feed: &ReaderHandle,
    ) -> Offer {
        let (ticket, blocks) = (self.in_flight.next_ticket(), self.topics.blocks(topic));
        let Err(error) = self.publisher.send(ticket, record, &self.wire) else {
            self.in_flight.hand_over(window, record, topic);
            self.telemetry.sent(ticket, record);
            self.throttling.sent(record.topic, weight(record));
            if blocks {
                self.keys.sent(topic, record.key, ticket);
            }
            failpoint::reach(Failpoint::Produced);
            return Offer::Taken;
        };
        if let PublishErrorKind::Record(reason) = error.kind() {
            self.in_flight.push_pending(window, record, topic);
            if blocks {
                self.keys.mark_pending(topic, record.key, ticket);
            }
            self.dead_letter(ticket, reason, &error, feed);
            return Offer::Taken;
        }
        self.not_taken(window, record, topic, error)
    }

    /// The publisher did not take a record, which is not the record's fault.
    fn not_taken(
        &mut self,
        window: u64,
        record: &OutboxRecord<'_>,
        topic: TopicNumber,
        error: PublishError,
    ) -> Offer {
        match error.kind() {
            PublishErrorKind::Unprepared => Offer::Unprepared,
            PublishErrorKind::Topic => {
                self.suspect(topic, &error);
                self.in_flight.held(window, record, topic);
                Offer::Taken
            }
            // With nothing in flight there is nothing to wait for.
            PublishErrorKind::Full if self.in_flight.outstanding() > 0 => Offer::NoRoom,
            PublishErrorKind::Record(_)
            | PublishErrorKind::Full
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

    /// Suspends topics that the broker refuses, once their records have filled what may be remembered: those of
    /// other topics cannot be reached behind them, so that nothing else is ever proven. Its refusal shows that the
    /// broker is there.
    pub(super) fn make_way(&mut self) {
        if !self.remembers_enough() || self.outstanding() > 0 {
            return;
        }
        for topic in self.topics.refused_for(self.patience) {
            self.suspend(topic, "");
        }
    }

    /// Whether a row is settled though it was read again; asked once for each.
    pub(super) fn forget_settled(&mut self, row: &RowId) -> bool {
        (!self.settled_before.is_empty() && self.settled_before.remove(row))
            || (!self.acknowledged_late.is_empty() && self.acknowledged_late.remove(row))
    }

    /// Where there are several topics, each may have half of what is in flight, so that one whose records do
    /// not come back leaves room for the others.
    pub(in crate::relay) fn has_room(&self, topic: TopicNumber, bytes: usize) -> bool {
        let share = match self.topics.are_several() {
            true => Bounds {
                records: self.bounds.records.div_ceil(2),
                bytes: self.bounds.bytes.div_ceil(2),
            },
            false => self.bounds,
        };
        let excused = self.topics.suspects().map(|(topic, _)| topic);
        let waiting = (self.keys.all_waiting(), self.keys.waiting(topic));
        self.in_flight
            .has_room(topic, bytes, self.bounds, share, excused, waiting)
    }

    /// A record of a topic failed, and the topic is to blame.
    pub(in crate::relay) fn suspect(&mut self, topic: TopicNumber, error: &PublishError) {
        tracing::warn!(topic = self.topics.name(topic), %error, "a topic does not accept records");
        self.topics
            .failed(topic, self.in_flight.next_ticket(), error.to_string());
        self.keys.hold(topic);
    }

    /// Sends a record from the dead letters.
    pub(in crate::relay) fn send_redelivery(
        &mut self,
        kind: RedeliveryKind,
        record: &OutboxRecord<'_>,
    ) -> Result<(), PublishError> {
        let ticket = self.parking.next_ticket();
        self.publisher.send(ticket, record, &self.wire)?;
        self.telemetry.redelivery_sent(ticket, record);
        let row = (record.seq, record.id);
        let sample = self.telemetry.sample(record);
        self.throttling.sent(record.topic, weight(record));
        self.parking.hand_over(row, kind, sample);
        Ok(())
    }

    /// Whether the publisher may be given another record of one kind.
    pub(super) fn has_room_for(&mut self, kind: RedeliveryKind, record: &OutboxRecord<'_>) -> bool {
        if self.throttling.allows(record.topic, Instant::now()) != Allowance::Now {
            return false;
        }
        let records = self.parking.in_flight(kind);
        let bytes = self.parking.in_flight_bytes() + weight(record);
        records == 0 || (records < self.bounds.records.div_ceil(4) && bytes <= self.bounds.bytes.div_ceil(2))
    }

    /// The cursor is not where this relay has left it: the next reader sends what it reads, settled before or not.
    /// [`prepare_dead_letters`](Self::prepare_dead_letters) has to follow.
    pub(in crate::relay) fn cursor_was_moved(&mut self, cursor_move: CursorMove) {
        self.cursor_move = self.cursor_move.max(cursor_move);
    }

    /// Before a reader's first page, and if the cursor was moved, sees to it that no earlier record takes out what comes into
    /// the dead letters from now on.
    pub(in crate::relay) async fn prepare_dead_letters<R: Reader>(
        &mut self,
        reader: &mut R,
    ) -> Result<(), StoreError> {
        let mut there = HashSet::new();
        match self.cursor_move {
            CursorMove::None => return Ok(()),
            CursorMove::InThisTerm => {
                self.parking.start_over();
                while let Some(rows) = self.parking.batch_to_take_out() {
                    reader.take_out(&rows).await?;
                    self.parking.taken_out();
                }
                for rows in self.parking.rows_in_flight() {
                    there.extend(reader.in_dead_letters(&rows).await?);
                }
            }
            CursorMove::BetweenTerms => self.parking.forget_delivered(),
        }
        self.parking.supersede_except(&there);
        Ok(())
    }

    /// Forgets all places in the log: the next reader starts at the persisted cursor. Only to be called when
    /// nothing is outstanding.
    pub(in crate::relay) fn start_over(&mut self) {
        self.broker.request_again();
        self.unconfirmed.start_over(self.in_flight.pending());
        self.settled_before.extend(self.in_flight.start_over());
        self.settled_before.extend(self.acknowledged_late.drain());
        match std::mem::take(&mut self.cursor_move) {
            CursorMove::None => {}
            CursorMove::InThisTerm | CursorMove::BetweenTerms => self.settled_before.clear(),
        }
        self.parking.start_over();
        self.keys.start_over();
        self.failed_redeliveries.clear();
    }
}
