//! What a relay has done, while it runs and at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What a relay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayReport {
    /// Records that the broker acknowledged.
    pub delivered: u64,
    /// Records that went to the dead letters.
    pub dead_lettered: u64,
    /// Records that were parked in the dead letters because their topic took none. They go out from there, and
    /// are counted as delivered then.
    pub parked: u64,
    /// Records that may have been sent twice, by reason.
    pub possible_duplicates: PossibleDuplicates,
    /// How often the relay became the active one.
    pub tenures: u64,
    /// How often the database or the broker interrupted the work.
    pub interruptions: u64,
}

/// Records whose outcome was unknown when they had to be given up, and that are therefore sent again: the only
/// source of duplicates beside a crash and a database that went back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PossibleDuplicates {
    /// A stop's deadline passed while they were on their way.
    pub stop_deadline: u64,
    /// The lease was lost while they were on their way.
    pub lost_lease: u64,
    /// The producer had to be rebuilt while they were on their way.
    pub producer_rebuilt: u64,
}

/// A relay's counters, to be read while it runs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RelayProgress {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    dead_lettered: AtomicU64,
    parked: AtomicU64,
    in_flight: AtomicUsize,
    active: AtomicBool,
}

impl RelayProgress {
    /// Records acknowledged since the relay was built.
    pub fn delivered(&self) -> u64 {
        self.counters.delivered.load(Ordering::Relaxed)
    }

    /// Records that went to the dead letters since the relay was built.
    pub fn dead_lettered(&self) -> u64 {
        self.counters.dead_lettered.load(Ordering::Relaxed)
    }

    /// Records that were parked until their topic takes them, since the relay was built.
    pub fn parked(&self) -> u64 {
        self.counters.parked.load(Ordering::Relaxed)
    }

    /// Records on their way to the broker now.
    pub fn in_flight(&self) -> usize {
        self.counters.in_flight.load(Ordering::Relaxed)
    }

    /// Whether this relay holds the lease.
    pub fn is_active(&self) -> bool {
        self.counters.active.load(Ordering::Relaxed)
    }

    pub(super) fn add_delivered(&self, records: u64) {
        self.counters.delivered.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn add_dead_lettered(&self, records: u64) {
        self.counters.dead_lettered.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn add_parked(&self, records: u64) {
        self.counters.parked.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn set_in_flight(&self, records: usize) {
        self.counters.in_flight.store(records, Ordering::Relaxed);
    }

    pub(super) fn set_active(&self, active: bool) {
        self.counters.active.store(active, Ordering::Relaxed);
    }
}
