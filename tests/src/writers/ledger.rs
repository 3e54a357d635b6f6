//! What the writers wrote, and what became of it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use outbox_runtime::testkit::checker::{Committed, CommittedEvent, Report, Written};
use uuid::Uuid;

use super::event::{EVENT_TYPE, Event};
use crate::kafka::ReadRecord;

/// An event and when it was written.
#[derive(Debug, Clone)]
pub struct WrittenEvent {
    /// The event.
    pub event: Event,
    /// When its row was sent, and when its commit was known.
    pub written: Written,
}

/// All that a run of writers committed and rolled back.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// What the run was made from: `OUTBOX_TEST_SEED` repeats its choices, though not their timing.
    pub seed: u64,
    /// Committed events, in no particular order.
    pub committed: Vec<WrittenEvent>,
    /// Events that were written and rolled back.
    pub rolled_back: HashSet<Uuid>,
}

impl Ledger {
    /// What to compare deliveries with.
    pub fn expected(&self) -> Committed {
        let mut expected = Committed::new();
        for WrittenEvent { event, written } in &self.committed {
            let own = event.header.as_deref().map(|value| ("x-test", value));
            let headers: Vec<_> = [("ce_type", EVENT_TYPE)].into_iter().chain(own).collect();
            let event = CommittedEvent {
                id: event.id,
                topic: &event.topic,
                key: &event.key,
                value: event.value.bytes(),
                headers: &headers,
                written: *written,
            };
            expected.event(event).expect("ids are made up of 128 random bits");
        }
        for id in &self.rolled_back {
            expected.rolled_back(*id);
        }
        expected
    }

    /// What the writers believe is what their business table contains.
    ///
    /// # Panics
    /// If it is not: then the database or the library has broken its word.
    pub(super) fn agrees_with(&self, rows: &HashSet<Uuid>) {
        let known = self
            .committed
            .iter()
            .filter(|written| rows.contains(&written.event.id));
        let (known, committed) = (known.count(), self.committed.len());
        assert!(
            known == committed && rows.len() == committed,
            "{committed} events were acknowledged as committed, {known} of them have their business row, and there \
             are {} rows (seed {})",
            rows.len(),
            self.seed
        );
    }

    /// Compares all records of all topics with what was committed; nothing is expected in the dead letters.
    pub fn check<'a>(&self, records: impl IntoIterator<Item = &'a ReadRecord>) -> Report {
        self.expected()
            .check(records.into_iter().map(ReadRecord::delivered), [])
    }
}

/// The ledger while it is written.
#[derive(Debug, Default)]
pub(super) struct OpenLedger {
    clock: AtomicU64,
    transactions: AtomicU64,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) committed: Vec<WrittenEvent>,
    pub(super) rolled_back: HashSet<Uuid>,
    /// The answer to a commit was lost.
    pub(super) unknown: Vec<WrittenEvent>,
}

impl OpenLedger {
    /// A time: greater than all that were given before, to whichever writer.
    pub(super) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed)
    }

    /// Call it after the commit was acknowledged.
    pub(super) fn committed(&self, mut events: Vec<WrittenEvent>) {
        let now = self.now();
        events.iter_mut().for_each(|event| event.written.committed = now);
        self.with(|entries| entries.committed.append(&mut events));
    }

    pub(super) fn rolled_back(&self, events: impl IntoIterator<Item = WrittenEvent>) {
        self.with(|entries| {
            entries
                .rolled_back
                .extend(events.into_iter().map(|written| written.event.id))
        });
    }

    pub(super) fn unknown(&self, mut events: Vec<WrittenEvent>) {
        self.with(|entries| entries.unknown.append(&mut events));
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Entries) -> T) -> T {
        change(
            &mut self
                .entries
                .lock()
                .expect("no writer panics while it holds the ledger"),
        )
    }
}
