//! What one transaction takes from a page, and what it leaves out.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::redeliveries::Redeliveries;
use crate::publisher::PublishError;
use crate::record::OutboxRecord;
use crate::relay::dead_letters::key_paused;
use crate::relay::topic_health::TopicNumber;
use crate::store::{DeadLetter, Parked, RowId, TopicKey};

/// What one transaction takes from a page.
#[derive(Default)]
pub(super) struct Batch {
    /// Where it ends.
    end: usize,
    sent: usize,
    bytes: usize,
    dead_letters: Vec<DeadLetter>,
    parked: HashMap<TopicNumber, Vec<RowId>>,
    /// Rows that wait behind dead ones of their keys.
    behind: Vec<RowId>,
    /// Rows whose keys are paused.
    paused: Vec<RowId>,
    /// Where it begins, and for each record from there on whether its key has dead letters.
    blocked: (usize, Vec<bool>),
    /// Keys of topics that block, of which this batch dead-letters a record.
    died: HashSet<TopicKey>,
    /// When a transaction was begun.
    pub(super) begun: Option<Instant>,
    /// Why it ends before the page does.
    pub(super) stopped: Option<Stopped>,
}

/// Why the record at a batch's end is no part of it.
pub(super) enum Stopped {
    /// Its topic takes none.
    ByTopic(String, PublishError),
    /// The producer has to be opened again before it can be sent.
    ToOpenAgain,
    /// The throttle lets it through then.
    ByThrottle(Instant),
}

impl Batch {
    /// An empty one. `blocked` says for each record from `next` on whether its key has dead letters.
    pub(super) fn begin_at(next: usize, blocked: Vec<bool>) -> Self {
        Self {
            end: next,
            blocked: (next, blocked),
            ..Self::default()
        }
    }

    /// Where it ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// How many records were handed over.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// The weight of what was handed over.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none of its rows goes into the dead letters.
    pub(super) fn leaves_nothing_out(&self) -> bool {
        let parks_none = self.parked.is_empty() && self.behind.is_empty() && self.paused.is_empty();
        self.dead_letters.is_empty() && parks_none
    }

    /// Whether the record at its end has to wait behind a dead one of its key.
    pub(super) fn is_blocked(&self, record: &OutboxRecord<'_>) -> bool {
        let (begin, blocked) = &self.blocked;
        blocked.get(self.end - begin) == Some(&true)
            || (!self.died.is_empty() && self.died.contains(&topic_key(record)))
    }

    /// The record at its end, of this weight, was handed over.
    pub(super) fn was_sent(&mut self, weight: usize) {
        self.sent += 1;
        self.bytes += weight;
        self.end += 1;
    }

    /// The record at its end is in the dead letters already.
    pub(super) fn leave_out(&mut self) {
        self.end += 1;
    }

    /// The record at its end is parked, because its topic is suspended.
    pub(super) fn park(&mut self, topic: TopicNumber, row: RowId) {
        self.parked.entry(topic).or_default().push(row);
        self.end += 1;
    }

    /// The record at its end is parked, because its key is paused.
    pub(super) fn park_paused(&mut self, row: RowId) {
        self.paused.push(row);
        self.end += 1;
    }

    /// The record at its end is parked behind others of its key.
    pub(super) fn park_behind(&mut self, row: RowId) {
        self.behind.push(row);
        self.end += 1;
    }

    /// The record at its end is dead-lettered.
    pub(super) fn dies(
        &mut self,
        record: &OutboxRecord<'_>,
        reason: &'static str,
        error: String,
        blocks: bool,
    ) {
        self.dead_letters.push(DeadLetter {
            seq: record.seq,
            id: record.id,
            reason,
            error,
        });
        if blocks {
            self.died.insert(topic_key(record));
        }
        self.end += 1;
    }

    /// Topics that block, of which it dead-letters records.
    pub(super) fn blocking_topics(&self) -> impl Iterator<Item = &str> {
        self.died.iter().map(|(topic, _)| topic.as_str())
    }

    /// Dead letters to write.
    pub(super) fn take_dead_letters(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.dead_letters)
    }

    /// Rows to park, and why; without a reason, they wait behind others of their keys.
    pub(super) fn take_parked(&mut self, redeliveries: &Redeliveries) -> Vec<(Option<Parked>, Vec<RowId>)> {
        let suspended = self.parked.drain();
        let suspended = suspended.map(|(topic, rows)| (Some(redeliveries.why(topic)), rows));
        let paused = (Some(key_paused()), std::mem::take(&mut self.paused));
        let behind = (None, std::mem::take(&mut self.behind));
        let all = suspended.chain([paused, behind]);
        all.filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

fn topic_key(record: &OutboxRecord<'_>) -> TopicKey {
    (record.topic.to_owned(), record.key.to_owned())
}
