//! Which records are in flight, and how far everything is settled.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::metrics::born_ms;
use crate::publisher::Ticket;
use crate::record::OutboxRecord;
use crate::relay::load::{Bounds, Load, weight};
use crate::relay::topic_health::TopicNumber;
use crate::store::{Mark, RowId};

/// Records between the persisted cursor and the last one handed over, in the order of reading.
///
/// Acknowledgements come in any order. The cursor may only pass a record when all before it are settled; what
/// was settled above it is remembered until the cursor has been written, so that a new reader does not make
/// duplicates of it.
#[derive(Debug, Default)]
pub(in crate::relay) struct InFlight {
    /// The ticket of the first slot.
    base: Ticket,
    slots: VecDeque<Slot>,
    /// How many slots from the first on are settled.
    settled_prefix: usize,
    /// How many of them the store is writing down.
    pending: usize,
    /// What the publisher has.
    total: Load,
    by_topic: Vec<Load>,
}

#[derive(Debug)]
struct Slot {
    mark: Mark,
    id: Uuid,
    bytes: usize,
    topic: TopicNumber,
    /// When it came into being, for metrics.
    born_ms: i64,
    state: State,
}

/// A record that was settled just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) struct Settled {
    pub(in crate::relay) topic: TopicNumber,
    /// When it came into being.
    pub(in crate::relay) born_ms: i64,
    /// What it weighed.
    pub(in crate::relay) bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The publisher has it.
    Outstanding,
    /// The store writes it down elsewhere, which settles it.
    Pending,
    /// It has to be read again, or suspended.
    Held,
    Settled,
}

impl InFlight {
    /// The ticket that [`hand_over`](Self::hand_over) will give to the next record.
    pub(in crate::relay) fn next_ticket(&self) -> Ticket {
        self.base + self.slots.len() as Ticket
    }

    /// How many records are remembered.
    pub(in crate::relay) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether a record of this size may be handed over. `share` is what one topic may have in flight; the
    /// records of `excused` topics do not count, because nobody knows when they come back. `waiting` is what waits
    /// in memory, of all topics and of this one.
    pub(in crate::relay) fn has_room(
        &self,
        topic: TopicNumber,
        bytes: usize,
        all: Bounds,
        share: Bounds,
        excused: impl Iterator<Item = TopicNumber>,
        waiting: (Load, Load),
    ) -> bool {
        let mut counted = self.total.and(waiting.0);
        for topic in excused {
            let load = self.load(topic);
            counted.records -= load.records;
            counted.bytes -= load.bytes;
        }
        counted.has_room(bytes, all) && self.load(topic).and(waiting.1).has_room(bytes, share)
    }

    /// The publisher took a record.
    pub(in crate::relay) fn hand_over(&mut self, window: u64, record: &OutboxRecord<'_>, topic: TopicNumber) {
        let bytes = weight(record);
        self.load_more(topic, bytes);
        self.push(window, record, topic, bytes, State::Outstanding);
    }

    /// The publisher took a record that was held back.
    pub(in crate::relay) fn hand_over_held(&mut self, ticket: Ticket, bytes: usize) {
        let Some(index) = self.index(ticket) else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(index)
            && slot.state == State::Held
        {
            (slot.state, slot.bytes) = (State::Outstanding, bytes);
            let topic = slot.topic;
            self.load_more(topic, bytes);
        }
    }

    fn load_more(&mut self, topic: TopicNumber, bytes: usize) {
        if self.by_topic.len() <= topic as usize {
            self.by_topic.resize(topic as usize + 1, Load::default());
        }
        let load = &mut self.by_topic[topic as usize];
        if load.records == 0 {
            load.moved = Some(Instant::now());
        }
        for load in [load, &mut self.total] {
            load.records += 1;
            load.bytes += bytes;
        }
    }

    /// A record that was settled before it could be handed over, such as one that an earlier reader had read.
    pub(super) fn already_settled(&mut self, window: u64, record: &OutboxRecord<'_>, topic: TopicNumber) {
        self.push(window, record, topic, 0, State::Settled);
        self.advance();
    }

    /// A record that is not handed over, because the store writes it down elsewhere.
    pub(super) fn push_pending(&mut self, window: u64, record: &OutboxRecord<'_>, topic: TopicNumber) {
        self.pending += 1;
        self.push(window, record, topic, 0, State::Pending);
    }

    /// A record that is not handed over yet, because its topic is suspect or another one of its key is in flight.
    pub(in crate::relay) fn held(&mut self, window: u64, record: &OutboxRecord<'_>, topic: TopicNumber) {
        self.push(window, record, topic, 0, State::Held);
    }

    /// The record is durably in the log, or in the dead letters. `None` if that was known.
    pub(in crate::relay) fn settle(&mut self, ticket: Ticket) -> Option<Settled> {
        self.leave(ticket, State::Settled)?;
        let settled = self.known(ticket);
        self.advance();
        settled
    }

    /// What is known of a record that is remembered.
    pub(super) fn known(&self, ticket: Ticket) -> Option<Settled> {
        let slot = self.slots.get(self.index(ticket)?)?;
        Some(Settled {
            topic: slot.topic,
            born_ms: slot.born_ms,
            bytes: slot.bytes,
        })
    }

    /// Bytes that the publisher still has.
    pub(super) fn outstanding_bytes(&self) -> usize {
        self.total.bytes
    }

    /// The publisher gave a record back. Returns its topic.
    pub(in crate::relay) fn fail(&mut self, ticket: Ticket) -> Option<TopicNumber> {
        self.leave(ticket, State::Held)
    }

    /// The store is asked to write a record down elsewhere.
    pub(in crate::relay) fn mark_pending(&mut self, ticket: Ticket) {
        self.leave(ticket, State::Pending);
    }

    /// The unsettled records of a topic that is suspended, in the order of reading, and which of them the
    /// publisher still has. They are no longer counted as outstanding; the store writes them down.
    pub(in crate::relay) fn suspend(&mut self, topic: TopicNumber) -> Vec<(Ticket, RowId, bool)> {
        let unsettled = (self.settled_prefix..self.slots.len()).filter_map(|index| {
            let slot = &self.slots[index];
            let waits = slot.topic == topic && matches!(slot.state, State::Outstanding | State::Held);
            let ticket = self.base + index as Ticket;
            waits.then_some((ticket, (slot.mark.seq, slot.id), slot.state == State::Outstanding))
        });
        let unsettled: Vec<_> = unsettled.collect();
        for (ticket, ..) in &unsettled {
            self.leave(*ticket, State::Pending);
        }
        unsettled
    }

    /// The record that the cursor waits for, if the publisher has it.
    pub(in crate::relay) fn front(&self) -> Option<(Ticket, TopicNumber)> {
        let slot = self.slots.get(self.settled_prefix)?;
        let ticket = self.base + self.settled_prefix as Ticket;
        (slot.state == State::Outstanding).then_some((ticket, slot.topic))
    }

    /// The topic of the record that the cursor waits for, if that is held back.
    pub(super) fn held_front(&self) -> Option<TopicNumber> {
        let slot = self.slots.get(self.settled_prefix)?;
        (slot.state == State::Held).then_some(slot.topic)
    }

    /// The first of a topic's records that the publisher has.
    pub(super) fn first_outstanding(&self, topic: TopicNumber) -> Option<Ticket> {
        let found = self
            .slots
            .iter()
            .position(|slot| slot.topic == topic && slot.state == State::Outstanding)?;
        Some(self.base + found as Ticket)
    }

    /// Whether the publisher has this record.
    pub(in crate::relay) fn is_outstanding(&self, ticket: Ticket) -> bool {
        let slot = self.index(ticket).and_then(|index| self.slots.get(index));
        slot.is_some_and(|slot| slot.state == State::Outstanding)
    }

    /// Whether this record is remembered.
    pub(in crate::relay) fn knows(&self, ticket: Ticket) -> bool {
        self.index(ticket).is_some_and(|index| index < self.slots.len())
    }

    pub(in crate::relay) fn load(&self, topic: TopicNumber) -> Load {
        self.by_topic.get(topic as usize).copied().unwrap_or_default()
    }

    /// Topics of which the publisher has records.
    pub(super) fn loaded(&self) -> impl Iterator<Item = (TopicNumber, Load)> {
        let loads = self.by_topic.iter().enumerate();
        loads
            .filter(|(_, load)| load.records > 0)
            .map(|(topic, load)| (topic as TopicNumber, *load))
    }

    /// Whether records of a topic are held back.
    pub(in crate::relay) fn holds(&self, topic: TopicNumber) -> bool {
        let unsettled = self.slots.range(self.settled_prefix..);
        unsettled
            .into_iter()
            .any(|slot| slot.topic == topic && slot.state == State::Held)
    }

    /// Whether the store is to write this record down.
    pub(super) fn is_pending(&self, ticket: Ticket) -> bool {
        let slot = self.index(ticket).and_then(|index| self.slots.get(index));
        slot.is_some_and(|slot| slot.state == State::Pending)
    }

    /// The row that a ticket stands for, if it is not settled.
    pub(in crate::relay) fn unsettled_row(&self, ticket: Ticket) -> Option<RowId> {
        let slot = self.slots.get(self.index(ticket)?)?;
        (slot.state != State::Settled).then_some((slot.mark.seq, slot.id))
    }

    /// Records that the publisher still has.
    pub(in crate::relay) fn outstanding(&self) -> usize {
        self.total.records
    }

    /// Whether a record's outcome is still to come, from the publisher or from the store.
    pub(super) fn is_under_way(&self) -> bool {
        self.total.records + self.pending > 0
    }

    /// How many records are settled though the cursor does not say so.
    pub(in crate::relay) fn settled(&self) -> usize {
        let above = self.slots.range(self.settled_prefix..);
        self.settled_prefix + above.filter(|slot| slot.state == State::Settled).count()
    }

    /// The first of the records that the publisher still has.
    pub(in crate::relay) fn oldest(&self) -> Option<Ticket> {
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
    pub(in crate::relay) fn settled_to(&self) -> Option<Mark> {
        self.slots
            .get(self.settled_prefix.checked_sub(1)?)
            .map(|slot| slot.mark)
    }

    /// The cursor was written up to here.
    pub(in crate::relay) fn persisted(&mut self, mark: Mark) {
        while self.settled_prefix > 0 && self.slots.front().is_some_and(|slot| slot.mark <= mark) {
            self.slots.pop_front();
            self.settled_prefix -= 1;
            self.base += 1;
        }
    }

    /// Rows that the store writes down elsewhere.
    pub(in crate::relay) fn pending(&self) -> impl Iterator<Item = RowId> {
        let pending = self.slots.iter().filter(|slot| slot.state == State::Pending);
        pending.map(|slot| (slot.mark.seq, slot.id))
    }

    /// Forgets all places, because a new reader starts from the persisted cursor, and returns the rows that it
    /// will read again though they are settled. Only to be called when nothing is outstanding.
    pub(in crate::relay) fn start_over(&mut self) -> HashSet<RowId> {
        debug_assert_eq!(self.total.records, 0, "the publisher still has records");
        self.base = self.next_ticket();
        self.settled_prefix = 0;
        self.pending = 0;
        let settled = self.slots.drain(..).filter(|slot| slot.state == State::Settled);
        settled.map(|slot| (slot.mark.seq, slot.id)).collect()
    }

    fn push(
        &mut self,
        window: u64,
        record: &OutboxRecord<'_>,
        topic: TopicNumber,
        bytes: usize,
        state: State,
    ) {
        self.slots.push_back(Slot {
            mark: Mark {
                window,
                seq: record.seq,
            },
            id: record.id,
            born_ms: born_ms(&record.id, record.occurred_at_ms),
            bytes,
            topic,
            state,
        });
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        usize::try_from(ticket.checked_sub(self.base)?).ok()
    }

    /// Moves a slot out of its state and returns its topic, unless it was settled.
    fn leave(&mut self, ticket: Ticket, to: State) -> Option<TopicNumber> {
        let index = self.index(ticket)?;
        let slot = self.slots.get_mut(index)?;
        match slot.state {
            State::Settled => return None,
            State::Held => {}
            State::Pending => self.pending -= 1,
            State::Outstanding => {
                let by_topic = self.by_topic.get_mut(slot.topic as usize);
                for load in by_topic.into_iter().chain([&mut self.total]) {
                    load.records -= 1;
                    load.bytes -= slot.bytes;
                }
            }
        }
        if to == State::Pending {
            self.pending += 1;
        }
        slot.state = to;
        Some(slot.topic)
    }

    /// Takes note of when records of these topics were settled. Returns for how long the most silent of them had
    /// been waiting.
    pub(in crate::relay) fn moved(&mut self, topics: impl IntoIterator<Item = TopicNumber>) -> Duration {
        let now = Instant::now();
        let mut longest = Duration::ZERO;
        for topic in topics {
            if let Some(load) = self.by_topic.get_mut(topic as usize)
                && let Some(before) = load.moved.replace(now)
            {
                longest = longest.max(now - before);
            }
        }
        longest
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

#[cfg(test)]
mod tests;
