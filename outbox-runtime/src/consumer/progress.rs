//! What a consumer has done, while it runs and at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::inbox::Processed;

/// Counters of a consumer since it was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerReport {
    /// Messages whose handler committed.
    pub processed: u64,
    /// Duplicates, which were skipped.
    pub duplicates: u64,
    /// Messages of types without a handler, which were skipped.
    pub unknown: u64,
    /// Messages that were dead-lettered.
    pub dead_lettered: u64,
    /// Attempts that failed because of the message or the handler.
    pub failures: u64,
    /// Attempts that failed because of an outage; they do not count towards `max_attempts`.
    pub outages: u64,
}

/// Counters of a running consumer. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ConsumerProgress {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    processed: AtomicU64,
    duplicates: AtomicU64,
    unknown: AtomicU64,
    dead_lettered: AtomicU64,
    failures: AtomicU64,
    outages: AtomicU64,
}

impl ConsumerProgress {
    /// The current counters.
    pub fn report(&self) -> ConsumerReport {
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConsumerReport {
            processed: read(&counters.processed),
            duplicates: read(&counters.duplicates),
            unknown: read(&counters.unknown),
            dead_lettered: read(&counters.dead_lettered),
            failures: read(&counters.failures),
            outages: read(&counters.outages),
        }
    }

    pub(super) fn count(&self, processed: Processed<()>) {
        add(match processed {
            Processed::Now(()) => &self.counters.processed,
            Processed::Before => &self.counters.duplicates,
        });
    }

    pub(super) fn count_unknown(&self) {
        add(&self.counters.unknown);
    }

    pub(super) fn count_dead_letter(&self) {
        add(&self.counters.dead_lettered);
    }

    pub(super) fn count_failure(&self) {
        add(&self.counters.failures);
    }

    pub(super) fn count_outage(&self) {
        add(&self.counters.outages);
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
