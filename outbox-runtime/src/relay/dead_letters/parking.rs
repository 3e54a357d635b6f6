//! Records of topics that are suspended: on their way into the dead letters, and out of them again.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::metrics::RecordSample;
use crate::publisher::Ticket;
use crate::relay::topic_health::TopicNumber;
use crate::store::RowId;

/// Tickets of records that are sent from the dead letters. Those of the log stay below.
const FROM_DEAD_LETTERS: Ticket = 1 << 62;

/// Rows that one statement parks, or takes out.
const BATCH: usize = 2_000;

/// What became of records that left the log's order.
#[derive(Debug)]
pub(in crate::relay) struct Parking {
    queues: HashMap<ParkingQueue, WaitingRows>,
    records: BTreeMap<Ticket, InFlightDeadLetter>,
    in_flight_of: HashMap<RedeliveryKind, usize>,
    in_flight_bytes: usize,
    next_ticket: Ticket,
    /// Delivered, and to be taken out of the dead letters.
    delivered: Vec<(RedeliveryKind, RowId)>,
    /// The store was asked to take these out.
    taking_out: Vec<(RedeliveryKind, RowId)>,
    /// How many of both.
    unclean: HashMap<RedeliveryKind, usize>,
}

/// Why a topic's records are parked. The records of a key are all in one queue, so they are parked in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::relay) enum ParkingQueue {
    /// The topic is suspended, or they wait behind others of their keys.
    Topic(TopicNumber),
    /// Somebody has paused their keys.
    PausedKeys(TopicNumber),
}

/// Rows of one queue that wait to be parked, in the order of reading.
#[derive(Debug, Default)]
struct WaitingRows {
    rows: Vec<(Ticket, RowId)>,
    /// The store has a batch that it has not confirmed.
    busy: bool,
    /// How many batches were asked for.
    batches: u64,
}

/// A record that the publisher has, and that stands in the dead letters or is about to.
#[derive(Debug)]
pub(in crate::relay) struct InFlightDeadLetter {
    pub(in crate::relay) row: RowId,
    pub(in crate::relay) kind: RedeliveryKind,
    /// The cursor was moved or claimed by another relay since it was sent: if its row is in the dead letters, it may have
    /// come there again, and the acknowledgement of this record does not settle it.
    pub(in crate::relay) is_superseded: bool,
    bytes: usize,
    /// For metrics; none of a record that was handed over as one of the log.
    pub(in crate::relay) sample: Option<RecordSample>,
}

/// Why a record is sent from the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::relay) enum RedeliveryKind {
    /// It waited for this topic.
    Parked(TopicNumber),
    /// Somebody wants it sent again.
    Replay,
}

impl Default for Parking {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            records: BTreeMap::new(),
            in_flight_of: HashMap::new(),
            in_flight_bytes: 0,
            next_ticket: FROM_DEAD_LETTERS,
            delivered: Vec::new(),
            taking_out: Vec::new(),
            unclean: HashMap::new(),
        }
    }
}

impl Parking {
    /// A record has to be parked behind those that have to be already.
    pub(in crate::relay) fn park(&mut self, queue: ParkingQueue, ticket: Ticket, row: RowId) {
        self.queues.entry(queue).or_default().rows.push((ticket, row));
    }

    /// The next batches to park, at most one of each queue at a time.
    pub(in crate::relay) fn batches_to_park(&mut self) -> Vec<(ParkingQueue, Vec<(Ticket, RowId)>)> {
        let ready = self
            .queues
            .iter_mut()
            .filter(|(_, waiting)| !waiting.busy && !waiting.rows.is_empty());
        ready
            .map(|(queue, waiting)| {
                waiting.busy = true;
                waiting.batches += 1;
                let many = waiting.rows.len().min(BATCH);
                (*queue, waiting.rows.drain(..many).collect())
            })
            .collect()
    }

    /// A batch is parked.
    pub(in crate::relay) fn parked(&mut self, queue: ParkingQueue) {
        if let Some(waiting) = self.queues.get_mut(&queue) {
            waiting.busy = false;
        }
    }

    /// How many batches of a topic the store was asked to park, and whether there is more.
    pub(in crate::relay) fn batches(&self, topic: TopicNumber) -> (u64, bool) {
        self.queues
            .get(&ParkingQueue::Topic(topic))
            .map_or((0, false), |waiting| (waiting.batches, !waiting.rows.is_empty()))
    }

    /// The ticket for the next record that is sent from the dead letters.
    pub(in crate::relay) fn next_ticket(&self) -> Ticket {
        self.next_ticket
    }

    /// The publisher took a record from the dead letters.
    pub(in crate::relay) fn hand_over(&mut self, row: RowId, kind: RedeliveryKind, sample: RecordSample) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.track(ticket, row, kind, Some(sample));
    }

    /// A record that the publisher still has is parked.
    pub(in crate::relay) fn park_in_flight(&mut self, ticket: Ticket, row: RowId, topic: TopicNumber) {
        self.track(ticket, row, RedeliveryKind::Parked(topic), None);
    }

    fn track(&mut self, ticket: Ticket, row: RowId, kind: RedeliveryKind, sample: Option<RecordSample>) {
        let bytes = sample.map_or(0, |sample| sample.bytes);
        *self.in_flight_of.entry(kind).or_default() += 1;
        self.in_flight_bytes += bytes;
        let in_flight = InFlightDeadLetter {
            row,
            kind,
            is_superseded: false,
            bytes,
            sample,
        };
        self.records.insert(ticket, in_flight);
    }

    /// The publisher says what became of a record. `None` if it is one of the log.
    pub(in crate::relay) fn settle(&mut self, ticket: Ticket) -> Option<InFlightDeadLetter> {
        if self.records.is_empty() {
            return None;
        }
        let settled = self.records.remove(&ticket)?;
        self.in_flight_bytes -= settled.bytes;
        if let Some(count) = self.in_flight_of.get_mut(&settled.kind) {
            *count -= 1;
        }
        Some(settled)
    }

    /// Whether a ticket is one of the log.
    pub(in crate::relay) fn is_of_the_log(ticket: Ticket) -> bool {
        ticket < FROM_DEAD_LETTERS
    }

    /// How many records of this kind the publisher has.
    pub(in crate::relay) fn in_flight(&self, kind: RedeliveryKind) -> usize {
        self.in_flight_of.get(&kind).copied().unwrap_or(0)
    }

    /// How many records the publisher has beside those of the log.
    pub(in crate::relay) fn all_in_flight(&self) -> usize {
        self.records.len()
    }

    /// The first of them.
    pub(in crate::relay) fn oldest(&self) -> Option<Ticket> {
        self.records.first_key_value().map(|(ticket, _)| *ticket)
    }

    /// The first of those that were sent from the dead letters.
    pub(in crate::relay) fn oldest_redelivery(&self) -> Option<Ticket> {
        let mut redelivered = self.records.range(FROM_DEAD_LETTERS..);
        redelivered.next().map(|(ticket, _)| *ticket)
    }

    pub(in crate::relay) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// Whether the publisher has none of a topic's records that are parked, or left behind by an earlier reader.
    pub(in crate::relay) fn is_idle(&self, topic: TopicNumber) -> bool {
        self.in_flight(RedeliveryKind::Parked(topic)) == 0
    }

    /// A record was delivered, and must not stay in the dead letters.
    pub(in crate::relay) fn delivered(&mut self, kind: RedeliveryKind, row: RowId) {
        self.delivered.push((kind, row));
        *self.unclean.entry(kind).or_default() += 1;
    }

    /// The next batch to take out, one at a time.
    pub(in crate::relay) fn batch_to_take_out(&mut self) -> Option<Vec<RowId>> {
        if !self.taking_out.is_empty() || self.delivered.is_empty() {
            return None;
        }
        let many = self.delivered.len().min(BATCH);
        self.taking_out = self.delivered.drain(..many).collect();
        Some(self.taking_out.iter().map(|(_, row)| *row).collect())
    }

    /// The batch is taken out. Returns its rows.
    pub(in crate::relay) fn taken_out(&mut self) -> Vec<RowId> {
        let batch = std::mem::take(&mut self.taking_out);
        for (kind, _) in &batch {
            if let Some(count) = self.unclean.get_mut(kind) {
                *count -= 1;
            }
        }
        batch.into_iter().map(|(_, row)| row).collect()
    }

    /// Whether everything that was delivered is out of the dead letters.
    pub(in crate::relay) fn is_clean(&self) -> bool {
        self.delivered.is_empty() && self.taking_out.is_empty()
    }

    /// Whether everything of this kind that was delivered is out of the dead letters.
    pub(in crate::relay) fn is_clean_of(&self, kind: RedeliveryKind) -> bool {
        self.unclean.get(&kind).is_none_or(|count| *count == 0)
    }

    /// Rows of the records that the publisher has, in batches.
    pub(in crate::relay) fn rows_in_flight(&self) -> Vec<Vec<RowId>> {
        let rows: Vec<RowId> = self.records.values().map(|record| record.row).collect();
        rows.chunks(BATCH).map(<[RowId]>::to_vec).collect()
    }

    /// Acknowledgements of what is in flight settle nothing, except those of these rows.
    pub(in crate::relay) fn supersede_except(&mut self, rows: &HashSet<RowId>) {
        for record in self.records.values_mut() {
            record.is_superseded |= !rows.contains(&record.row);
        }
    }

    /// What was delivered stays in the dead letters.
    pub(in crate::relay) fn forget_delivered(&mut self) {
        self.delivered.clear();
        self.taking_out.clear();
        self.unclean.clear();
    }

    /// How many records were delivered and are not known to be out of the dead letters.
    pub(in crate::relay) fn to_take_out(&self) -> usize {
        self.delivered.len() + self.taking_out.len()
    }

    /// A new reader starts: what the last one was asked for may not have been done.
    pub(in crate::relay) fn start_over(&mut self) {
        self.queues.clear();
        self.delivered.append(&mut self.taking_out);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(seq: i64) -> RowId {
        (seq, Uuid::from_u128(seq as u128))
    }

    #[test]
    fn rows_are_parked_in_order_one_batch_at_a_time() {
        let mut parking = Parking::default();
        for seq in 0..3 {
            parking.park(ParkingQueue::Topic(7), seq as Ticket, row(seq));
        }
        let first = parking.batches_to_park();
        let rows = vec![(0, row(0)), (1, row(1)), (2, row(2))];
        assert_eq!(first, [(ParkingQueue::Topic(7), rows)]);
        parking.park(ParkingQueue::Topic(7), 3, row(3));
        assert!(
            parking.batches_to_park().is_empty(),
            "the first batch is not confirmed"
        );
        assert_eq!(parking.batches(7), (1, true));
        parking.parked(ParkingQueue::Topic(7));
        assert_eq!(
            parking.batches_to_park(),
            [(ParkingQueue::Topic(7), vec![(3, row(3))])]
        );
        assert_eq!(parking.batches(7), (2, false));
    }

    #[test]
    fn what_was_delivered_is_taken_out_even_if_the_reader_broke() {
        let mut parking = Parking::default();
        parking.delivered(RedeliveryKind::Replay, row(1));
        assert_eq!(parking.batch_to_take_out(), Some(vec![row(1)]));
        parking.delivered(RedeliveryKind::Replay, row(2));
        assert_eq!(parking.batch_to_take_out(), None);
        parking.start_over();
        let again = parking.batch_to_take_out().unwrap();
        assert_eq!(
            (again.len(), parking.is_clean_of(RedeliveryKind::Replay)),
            (2, false)
        );
        parking.taken_out();
        assert!(parking.is_clean() && parking.is_clean_of(RedeliveryKind::Replay));
    }

    #[test]
    fn what_is_forgotten_is_not_taken_out() {
        let mut parking = Parking::default();
        for seq in 1..=2 {
            parking.delivered(RedeliveryKind::Replay, row(seq));
        }
        parking.batch_to_take_out().unwrap();
        parking.delivered(RedeliveryKind::Replay, row(3));
        assert_eq!(parking.to_take_out(), 3);
        parking.forget_delivered();
        assert_eq!((parking.to_take_out(), parking.batch_to_take_out()), (0, None));
        assert!(parking.is_clean() && parking.is_clean_of(RedeliveryKind::Replay));
        parking.delivered(RedeliveryKind::Replay, row(4));
        assert_eq!(parking.batch_to_take_out(), Some(vec![row(4)]));
    }

    #[test]
    fn after_a_rewind_what_is_in_flight_and_not_in_the_dead_letters_settles_nothing() {
        let mut parking = Parking::default();
        parking.park_in_flight(1, row(1), 7);
        parking.park_in_flight(2, row(2), 7);
        assert_eq!(parking.rows_in_flight(), [[row(1), row(2)]]);
        parking.supersede_except(&HashSet::from([row(2)]));
        assert_eq!(parking.in_flight(RedeliveryKind::Parked(7)), 2);
        parking.park_in_flight(3, row(1), 7);
        let is_superseded = [1, 2, 3].map(|ticket| parking.settle(ticket).unwrap().is_superseded);
        assert_eq!(is_superseded, [true, false, false]);
    }

    #[test]
    fn tickets_of_the_log_and_of_the_dead_letters_are_distinct() {
        let mut parking = Parking::default();
        parking.park_in_flight(5, row(5), 0);
        let ticket = parking.next_ticket();
        let sample = RecordSample {
            bytes: 10,
            ..RecordSample::default()
        };
        parking.hand_over(row(6), RedeliveryKind::Replay, sample);
        assert!(Parking::is_of_the_log(5) && !Parking::is_of_the_log(ticket));
        assert_eq!(
            (
                parking.in_flight(RedeliveryKind::Parked(0)),
                parking.in_flight_bytes()
            ),
            (1, 10)
        );
        assert_eq!(
            (parking.oldest(), parking.oldest_redelivery()),
            (Some(5), Some(ticket))
        );
        assert!(parking.settle(4).is_none());
        assert_eq!(parking.settle(5).unwrap().row, row(5));
        assert_eq!(parking.settle(ticket).unwrap().kind, RedeliveryKind::Replay);
        assert_eq!((parking.all_in_flight(), parking.in_flight_bytes()), (0, 0));
    }
}
