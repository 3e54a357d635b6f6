//! Keys of topics that block: at most one record of each on its way, and none past one that is in the dead letters.
//!
//! Which keys have dead letters the database knows, and a page is annotated with it when it is read. What was written to
//! the dead letters since, or taken out of them, is remembered here until pages come that know it. *Revisions* are
//! counted in writes to the dead letters: a page, and all that was written or read there, has one.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::publisher::Ticket;
use crate::record::{OutboxRecord, RecordPage};
use crate::relay::load::{Load, weight};
use crate::relay::topic_health::TopicNumber;
use crate::store::RowId;

/// Counts writes to the dead letters.
pub(in crate::relay) type Revision = u64;

/// What is known of the keys of topics that block.
#[derive(Debug, Default)]
pub(in crate::relay) struct Keys {
    topics: HashMap<TopicNumber, HashMap<String, Key>>,
    /// Whose record is in flight.
    tickets: HashMap<Ticket, Name>,
    /// Whose records are pending: asked to be dead-lettered, and not known to be there.
    pending: HashMap<Ticket, Name>,
    /// Whose rows were handed over from the dead letters, and are not known to be out of them.
    leaving: HashMap<RowId, Name>,
    /// Keys whose next record may go.
    ready: VecDeque<Name>,
    /// What waits for a record of its key.
    waiting: HashMap<TopicNumber, Load>,
    all_waiting: Load,
    dead_letters_waiting: HashMap<TopicNumber, usize>,
    /// Pages of an earlier revision do not know what waits in the dead letters.
    low_water_marks: HashMap<TopicNumber, Revision>,
    /// Topics that have dead letters, or may have.
    topics_with_dead_letters: BTreeSet<TopicNumber>,
    /// The last write that is known to be done.
    latest: Revision,
}

type Name = (TopicNumber, String);

/// Records of the log that were behind another one of their key, in order.
pub(in crate::relay) type Behind = Vec<(Ticket, RowId)>;

#[derive(Debug, Default)]
struct Key {
    on_its_way: Option<Ticket>,
    queue: VecDeque<QueuedRecord>,
    /// Records that are being written to the dead letters.
    pending: usize,
    /// Pages of an earlier revision do not know of its dead letters.
    written: Revision,
    /// Its last dead letter is in flight or in the queue: what comes goes behind it, and not past it.
    drains: bool,
    /// How many of its dead letters are not known to be taken out.
    leaving: usize,
    /// Pages of an earlier revision still count what was taken out.
    gone: Revision,
}

/// A record that waits until the one before it is acknowledged.
#[derive(Debug)]
pub(in crate::relay) struct QueuedRecord {
    pub(in crate::relay) source: Source,
    record: RecordPage,
}

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Source {
    /// The log; this is its place there.
    Log(Ticket, RowId),
    /// The dead letters.
    DeadLetter(RowId),
}

/// What happens to a record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Admission {
    /// It may go.
    Free,
    /// It has to wait for the one before it.
    Busy,
    /// It has to be parked behind what is in the dead letters.
    Blocked,
}

impl QueuedRecord {
    pub(in crate::relay) fn new(source: Source, record: &OutboxRecord<'_>) -> Self {
        let mut page = RecordPage::new(0, 1);
        page.push(*record);
        Self { source, record: page }
    }

    pub(in crate::relay) fn record(&self) -> Option<OutboxRecord<'_>> {
        self.record.get(0)
    }
}

impl Key {
    fn admission(&self, page: Revision, blocked: bool) -> Admission {
        let blocked = if self.pending > 0 || page < self.written {
            true
        } else if self.drains && (self.leaving > 0 || page < self.gone) {
            false
        } else {
            blocked
        };
        match blocked {
            true => Admission::Blocked,
            false if self.on_its_way.is_some() || !self.queue.is_empty() => Admission::Busy,
            false => Admission::Free,
        }
    }

    /// Whether a page of this revision knows all that is known here.
    fn is_forgettable(&self, page: Revision) -> bool {
        let idle = self.on_its_way.is_none() && self.queue.is_empty();
        idle && self.pending == 0 && self.leaving == 0 && page >= self.written && page >= self.gone
    }
}

impl Keys {
    /// What happens to a record of a page of this revision, of whose key the page says whether it is `blocked`.
    pub(in crate::relay) fn admission(
        &self,
        topic: TopicNumber,
        key: &str,
        page: Revision,
        blocked: bool,
    ) -> Admission {
        let low_water_mark = self.low_water_marks.get(&topic).copied().unwrap_or(0);
        match self.key(topic, key) {
            Some(known) => known.admission(page, blocked || page < low_water_mark),
            None if blocked || page < low_water_mark => Admission::Blocked,
            None => Admission::Free,
        }
    }

    /// A page of this revision is handed over from now on: what it knows need not be remembered.
    pub(in crate::relay) fn forget(&mut self, page: Revision) {
        for keys in self.topics.values_mut() {
            keys.retain(|_, key| !key.is_forgettable(page));
        }
        self.low_water_marks
            .retain(|_, low_water_mark| page < *low_water_mark);
    }

    /// A record of this key is in flight.
    pub(in crate::relay) fn sent(&mut self, topic: TopicNumber, key: &str, ticket: Ticket) {
        self.key_mut(topic, key).on_its_way = Some(ticket);
        self.tickets.insert(ticket, (topic, key.to_owned()));
    }

    /// A record has to wait for those of its key that are before it.
    pub(in crate::relay) fn wait(&mut self, topic: TopicNumber, key: &str, next: QueuedRecord) {
        self.count(topic, &next, true);
        let known = self.key_mut(topic, key);
        known.queue.push_back(next);
        if known.on_its_way.is_none() && known.queue.len() == 1 {
            self.ready.push_back((topic, key.to_owned()));
        }
    }

    /// A row of the dead letters is to be sent. `last`, and read at this revision, there is none behind it.
    pub(in crate::relay) fn release(
        &mut self,
        topic: TopicNumber,
        record: &OutboxRecord<'_>,
        last: bool,
        read: Revision,
    ) {
        let row = (record.seq, record.id);
        self.leaving.insert(row, (topic, record.key.to_owned()));
        let key = self.key_mut(topic, record.key);
        key.leaving += 1;
        if last && key.pending == 0 && key.written <= read {
            (key.drains, key.written) = (true, 0);
        }
        self.wait(
            topic,
            record.key,
            QueuedRecord::new(Source::DeadLetter(row), record),
        );
    }

    /// A record was acknowledged: the next of its key may go.
    pub(in crate::relay) fn acknowledged(&mut self, ticket: Ticket) {
        let Some((topic, name)) = self.tickets.remove(&ticket) else {
            return;
        };
        let key = self.key_mut(topic, &name);
        key.on_its_way = None;
        if !key.queue.is_empty() {
            self.ready.push_back((topic, name));
        }
    }

    /// A record did not go through, and those of its key that are behind it must not go past it. Returns those of
    /// the log, in order; those of the dead letters simply stay there.
    pub(in crate::relay) fn failed(&mut self, ticket: Ticket) -> Option<(TopicNumber, String, Behind)> {
        let (topic, name) = self.tickets.remove(&ticket)?;
        let behind = self.stop(topic, &name);
        Some((topic, name, behind))
    }

    /// As [`failed`](Self::failed), for a key of which nothing is in flight.
    pub(in crate::relay) fn stop(&mut self, topic: TopicNumber, name: &str) -> Behind {
        let latest = self.latest;
        let key = self.key_mut(topic, name);
        key.on_its_way = None;
        if key.drains {
            // It is in the dead letters, but pages from before it was written there do not know.
            (key.drains, key.written) = (false, latest);
        }
        let queue = std::mem::take(&mut key.queue);
        let mut of_the_log = Vec::new();
        for next in queue {
            self.count(topic, &next, false);
            match next.source {
                Source::Log(ticket, row) => of_the_log.push((ticket, row)),
                Source::DeadLetter(row) => self.stays(row),
            }
        }
        of_the_log
    }

    /// A record of this key is to be written to the dead letters.
    pub(in crate::relay) fn mark_pending(&mut self, topic: TopicNumber, name: &str, ticket: Ticket) {
        let key = self.key_mut(topic, name);
        key.pending += 1;
        key.drains = false;
        self.pending.insert(ticket, (topic, name.to_owned()));
        self.topics_with_dead_letters.insert(topic);
    }

    /// It is written, by the write of this revision.
    pub(in crate::relay) fn written(&mut self, ticket: Ticket, at: Revision) {
        let Some((topic, name)) = self.pending.remove(&ticket) else {
            return;
        };
        let key = self.key_mut(topic, &name);
        key.pending = key.pending.saturating_sub(1);
        key.written = key.written.max(at);
    }

    /// A row stays in the dead letters after all.
    pub(in crate::relay) fn stays(&mut self, row: RowId) {
        if let Some((topic, name)) = self.leaving.remove(&row) {
            let key = self.key_mut(topic, &name);
            key.leaving = key.leaving.saturating_sub(1);
        }
    }

    /// A row is out of the dead letters since this revision.
    pub(in crate::relay) fn taken_out(&mut self, row: RowId, at: Revision) {
        if let Some((topic, name)) = self.leaving.remove(&row) {
            let key = self.key_mut(topic, &name);
            key.leaving = key.leaving.saturating_sub(1);
            key.gone = key.gone.max(at);
        }
    }

    /// A write to the dead letters is done.
    pub(in crate::relay) fn passed(&mut self, revision: Revision) {
        self.latest = self.latest.max(revision);
    }

    /// The next record that may go, if there is one. It has to be [taken](Self::take_ready) or left.
    pub(in crate::relay) fn ready(&mut self) -> Option<(TopicNumber, &str, &QueuedRecord)> {
        // Whoever was stopped meanwhile has nothing to send.
        while let Some((topic, name)) = self.ready.front() {
            let key = self.topics.get(topic).and_then(|keys| keys.get(name));
            let waits = key.is_some_and(|key| key.on_its_way.is_none() && !key.queue.is_empty());
            if waits {
                break;
            }
            self.ready.pop_front();
        }
        let (topic, name) = self.ready.front()?;
        let next = self.topics.get(topic)?.get(name)?.queue.front()?;
        Some((*topic, name, next))
    }

    /// Takes the next record out; its key is not ready any more.
    pub(in crate::relay) fn take_ready(&mut self) -> Option<(TopicNumber, String, QueuedRecord)> {
        let (topic, name) = self.ready.pop_front()?;
        let next = self.topics.get_mut(&topic)?.get_mut(&name)?.queue.pop_front()?;
        self.count(topic, &next, false);
        Some((topic, name, next))
    }

    /// The next record that may go waits behind those of all other keys. Returns how many keys may send.
    pub(in crate::relay) fn postpone_ready(&mut self) -> usize {
        if let Some(first) = self.ready.pop_front() {
            self.ready.push_back(first);
        }
        self.ready.len()
    }

    /// The topic is in trouble: what waits is not sent from here. What is in flight stays so.
    pub(in crate::relay) fn hold(&mut self, topic: TopicNumber) {
        let Some(keys) = self.topics.get_mut(&topic) else {
            return;
        };
        let mut dead_letters = Vec::new();
        for key in keys.values_mut() {
            for next in key.queue.drain(..) {
                if let Source::DeadLetter(row) = next.source {
                    dead_letters.push(row);
                }
            }
            if key.drains {
                (key.drains, key.written) = (false, self.latest);
            }
        }
        dead_letters.into_iter().for_each(|row| self.stays(row));
        let waited = self.waiting.remove(&topic).unwrap_or_default();
        self.all_waiting.records -= waited.records;
        self.all_waiting.bytes -= waited.bytes;
        self.dead_letters_waiting.remove(&topic);
    }

    /// The topic takes records again, and all that waited for it is sent: only pages that are read from now on
    /// know which keys still have dead letters.
    pub(in crate::relay) fn recovered(&mut self, topic: TopicNumber) {
        self.low_water_marks.insert(topic, self.latest);
    }

    /// Whether a key has a record of the dead letters on its way, with others behind it; and which one.
    pub(in crate::relay) fn held_up_by(&self, topic: TopicNumber) -> Option<Ticket> {
        let mut keys = self.topics.get(&topic)?.values();
        keys.find_map(|key| key.on_its_way.filter(|_| !key.queue.is_empty()))
    }

    /// What waits, of a topic.
    pub(in crate::relay) fn waiting(&self, topic: TopicNumber) -> Load {
        self.waiting.get(&topic).copied().unwrap_or_default()
    }

    /// What waits, of all topics.
    pub(in crate::relay) fn all_waiting(&self) -> Load {
        self.all_waiting
    }

    /// How many rows of the dead letters wait to be sent.
    pub(in crate::relay) fn dead_letters_waiting(&self, topic: TopicNumber) -> usize {
        self.dead_letters_waiting.get(&topic).copied().unwrap_or(0)
    }

    /// Topics that may have dead letters.
    pub(in crate::relay) fn topics_with_dead_letters(&self) -> impl Iterator<Item = TopicNumber> {
        self.topics_with_dead_letters.iter().copied()
    }

    /// A topic has dead letters.
    pub(in crate::relay) fn has_dead_letters(&mut self, topic: TopicNumber) {
        self.topics_with_dead_letters.insert(topic);
    }

    /// A new reader starts, and its pages know all that is in the dead letters.
    pub(in crate::relay) fn start_over(&mut self) {
        let topics_with_dead_letters = std::mem::take(&mut self.topics_with_dead_letters);
        *self = Self {
            topics_with_dead_letters,
            ..Self::default()
        };
    }

    fn key(&self, topic: TopicNumber, name: &str) -> Option<&Key> {
        self.topics.get(&topic)?.get(name)
    }

    fn key_mut(&mut self, topic: TopicNumber, name: &str) -> &mut Key {
        self.topics
            .entry(topic)
            .or_default()
            .entry(name.to_owned())
            .or_default()
    }

    fn count(&mut self, topic: TopicNumber, next: &QueuedRecord, more: bool) {
        let bytes = next.record().map_or(0, |record| weight(&record));
        let dead_letter = usize::from(matches!(next.source, Source::DeadLetter(_)));
        let dead_letters = self.dead_letters_waiting.entry(topic).or_default();
        *dead_letters = match more {
            true => *dead_letters + dead_letter,
            false => *dead_letters - dead_letter,
        };
        for load in [self.waiting.entry(topic).or_default(), &mut self.all_waiting] {
            match more {
                true => (load.records, load.bytes) = (load.records + 1, load.bytes + bytes),
                false => (load.records, load.bytes) = (load.records - 1, load.bytes - bytes),
            }
        }
    }
}

#[cfg(test)]
mod tests;
