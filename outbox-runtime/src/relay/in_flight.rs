//! Which records are on their way, and how far everything is settled.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

use crate::publisher::Ticket;
use crate::record::OutboxRecord;
use crate::store::Mark;

/// A row, told apart from every other one even if the database went back and its seq was used again.
pub(super) type RowId = (i64, Uuid);

/// Records between the persisted cursor and the last one handed over, in the order of reading.
///
/// Acknowledgements come in any order. The cursor may only pass a record when all before it are settled; what
/// was settled above it is remembered until the cursor has been written, so that a new reader does not make
/// duplicates of it.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// The ticket of the first slot.
    base: Ticket,
    slots: VecDeque<Slot>,
    /// How many slots from the first on are settled.
    settled_prefix: usize,
    outstanding: usize,
    outstanding_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    mark: Mark,
    id: Uuid,
    bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The publisher has it.
    Outstanding,
    /// It has to be settled in another way, or sent again.
    Failed,
    Settled,
}

impl InFlight {
    /// The ticket that [`hand_over`](Self::hand_over) will give to the next record.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.base + self.slots.len() as Ticket
    }

    /// Whether a record of this size may be handed over within these bounds. One that is larger than the bound
    /// goes alone.
    pub(super) fn has_room(&self, bytes: usize, max_records: usize, max_bytes: usize) -> bool {
        self.outstanding == 0
            || (self.outstanding < max_records && self.outstanding_bytes.saturating_add(bytes) <= max_bytes)
    }

    /// The publisher took a record.
    pub(super) fn hand_over(&mut self, window: u64, record: &OutboxRecord<'_>) {
        let bytes = weight(record);
        self.outstanding += 1;
        self.outstanding_bytes += bytes;
        self.push(window, record, bytes, State::Outstanding);
    }

    /// A record that was settled before it could be handed over, such as one that an earlier reader had read.
    pub(super) fn already_settled(&mut self, window: u64, record: &OutboxRecord<'_>) {
        self.push(window, record, 0, State::Settled);
        self.advance();
    }

    /// The publisher refused a record for good.
    pub(super) fn refused(&mut self, window: u64, record: &OutboxRecord<'_>) {
        self.push(window, record, 0, State::Failed);
    }

    /// The record is durably in the log, or in the dead letters.
    pub(super) fn settle(&mut self, ticket: Ticket) {
        if self.leave(ticket, State::Settled) {
            self.advance();
        }
    }

    /// The publisher gave a record back.
    pub(super) fn fail(&mut self, ticket: Ticket) {
        self.leave(ticket, State::Failed);
    }

    /// The row that a ticket stands for, if it is not settled.
    pub(super) fn unsettled_row(&self, ticket: Ticket) -> Option<RowId> {
        let slot = self.slots.get(self.index(ticket)?)?;
        (slot.state != State::Settled).then_some((slot.mark.seq, slot.id))
    }

    /// Records that the publisher still has.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The first of the records that the publisher still has.
    pub(super) fn oldest(&self) -> Option<Ticket> {
        let unsettled = self.slots.range(self.settled_prefix..);
        let ahead = unsettled
            .take_while(|slot| slot.state != State::Outstanding)
            .count();
        let index = self.settled_prefix + ahead;
        (index < self.slots.len()).then(|| self.base + index as Ticket)
    }

    /// Whether everything that was handed over is settled.
    pub(super) fn all_settled(&self) -> bool {
        self.settled_prefix == self.slots.len()
    }

    /// Everything up to here is settled; `None` if nothing is beyond what was persisted.
    pub(super) fn settled_to(&self) -> Option<Mark> {
        self.slots
            .get(self.settled_prefix.checked_sub(1)?)
            .map(|slot| slot.mark)
    }

    /// The cursor was written up to here.
    pub(super) fn persisted(&mut self, mark: Mark) {
        while self.settled_prefix > 0 && self.slots.front().is_some_and(|slot| slot.mark <= mark) {
            self.slots.pop_front();
            self.settled_prefix -= 1;
            self.base += 1;
        }
    }

    /// Forgets all places, because a new reader starts from the persisted cursor, and returns the rows that it
    /// will read again though they are settled. Only to be called when nothing is outstanding.
    pub(super) fn start_over(&mut self) -> HashSet<RowId> {
        debug_assert_eq!(self.outstanding, 0, "the publisher still has records");
        self.base = self.next_ticket();
        self.settled_prefix = 0;
        let settled = self.slots.drain(..).filter(|slot| slot.state == State::Settled);
        settled.map(|slot| (slot.mark.seq, slot.id)).collect()
    }

    fn push(&mut self, window: u64, record: &OutboxRecord<'_>, bytes: usize, state: State) {
        self.slots.push_back(Slot {
            mark: Mark {
                window,
                seq: record.seq,
            },
            id: record.id,
            bytes,
            state,
        });
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        usize::try_from(ticket.checked_sub(self.base)?).ok()
    }

    /// Moves a slot out of its state. `false` if there was nothing to move.
    fn leave(&mut self, ticket: Ticket, to: State) -> bool {
        let Some(slot) = self.index(ticket).and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        match slot.state {
            State::Settled => return false,
            State::Failed => {}
            State::Outstanding => {
                self.outstanding -= 1;
                self.outstanding_bytes -= slot.bytes;
            }
        }
        slot.state = to;
        true
    }

    fn advance(&mut self) {
        while self
            .slots
            .get(self.settled_prefix)
            .is_some_and(|slot| slot.state == State::Settled)
        {
            self.settled_prefix += 1;
        }
    }
}

/// What a record weighs against the bound on bytes.
pub(super) fn weight(record: &OutboxRecord<'_>) -> usize {
    record.payload.map_or(0, <[u8]>::len) + record.key.len() + record.headers.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(seq: i64) -> OutboxRecord<'static> {
        OutboxRecord {
            seq,
            id: Uuid::from_u128(seq as u128),
            topic: "t",
            key: "",
            event_type: "E",
            content_type: "application/json",
            source: None,
            headers: "",
            payload: Some(b"12345678"),
            occurred_at_ms: 0,
        }
    }

    fn mark(seq: i64) -> Mark {
        Mark { window: 0, seq }
    }

    #[test]
    fn the_cursor_waits_for_the_lowest_unsettled_record() {
        let mut in_flight = InFlight::default();
        for seq in 1..=3 {
            in_flight.hand_over(0, &record(seq));
        }
        in_flight.settle(1);
        in_flight.settle(2);
        assert_eq!((in_flight.settled_to(), in_flight.outstanding()), (None, 1));
        assert_eq!(in_flight.oldest(), Some(0));
        in_flight.settle(0);
        assert_eq!(in_flight.oldest(), None);
        assert_eq!(
            (in_flight.settled_to(), in_flight.all_settled()),
            (Some(mark(3)), true)
        );
        in_flight.persisted(mark(2));
        assert_eq!(in_flight.settled_to(), Some(mark(3)));
        in_flight.persisted(mark(3));
        assert_eq!((in_flight.settled_to(), in_flight.next_ticket()), (None, 3));
    }

    #[test]
    fn a_record_larger_than_the_bound_goes_alone() {
        let mut in_flight = InFlight::default();
        assert!(in_flight.has_room(1000, 10, 100));
        in_flight.hand_over(0, &record(1));
        assert!(in_flight.has_room(92, 10, 100) && !in_flight.has_room(93, 10, 100));
        assert!(!in_flight.has_room(0, 1, 100));
    }

    #[test]
    fn what_settled_above_the_cursor_is_remembered() {
        let mut in_flight = InFlight::default();
        for seq in 1..=4 {
            in_flight.hand_over(0, &record(seq));
        }
        in_flight.settle(0);
        in_flight.persisted(mark(1));
        in_flight.fail(1);
        in_flight.settle(2);
        assert_eq!(in_flight.oldest(), Some(3), "a failed record is not on its way");
        in_flight.fail(3);
        assert_eq!(in_flight.start_over(), HashSet::from([(3, Uuid::from_u128(3))]));
        assert_eq!(in_flight.next_ticket(), 4, "tickets are never used again");
        in_flight.settle(3);
        assert_eq!(in_flight.settled_to(), None, "an old ticket says nothing");
    }

    #[test]
    fn a_dead_letter_settles_a_failed_record_once() {
        let mut in_flight = InFlight::default();
        in_flight.refused(0, &record(1));
        assert_eq!(in_flight.unsettled_row(0), Some((1, Uuid::from_u128(1))));
        in_flight.settle(0);
        in_flight.settle(0);
        assert_eq!(
            (in_flight.settled_to(), in_flight.unsettled_row(0)),
            (Some(mark(1)), None)
        );
    }

    proptest! {
        #[test]
        fn the_watermark_never_passes_an_unsettled_record(
            order in Just((0u64..40).collect::<Vec<_>>()).prop_shuffle(),
            fails in proptest::collection::vec(any::<bool>(), 40),
            persist_every in 1usize..10,
        ) {
            let mut in_flight = InFlight::default();
            for seq in 0..40 {
                in_flight.hand_over(0, &record(seq));
            }
            let mut settled = [false; 40];
            for (step, ticket) in order.into_iter().enumerate() {
                if fails[ticket as usize] {
                    in_flight.fail(ticket);
                } else {
                    in_flight.settle(ticket);
                    settled[ticket as usize] = true;
                }
                let prefix = settled.iter().take_while(|settled| **settled).count() as i64;
                if let Some(mark) = in_flight.settled_to() {
                    prop_assert_eq!(mark.seq, prefix - 1);
                    if step % persist_every == 0 {
                        in_flight.persisted(mark);
                    }
                }
            }
            let all_good = !fails.iter().any(|fails| *fails);
            prop_assert_eq!(in_flight.outstanding(), 0);
            prop_assert_eq!(in_flight.all_settled(), all_good);
        }
    }
}
