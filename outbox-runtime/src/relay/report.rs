//! Counters and health of a relay.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counters of a relay when it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayReport {
    /// Records acknowledged by the broker.
    pub delivered: u64,
    /// Records that were dead-lettered.
    pub dead_lettered: u64,
    /// Records that were parked because their topic or key was blocked. They count as delivered when they are
    /// sent later.
    pub parked: u64,
    /// Records that may have been sent twice, by reason.
    pub possible_duplicates: PossibleDuplicates,
    /// Number of times the relay became active.
    pub leader_terms: u64,
    /// Number of interruptions by the database or the broker.
    pub interruptions: u64,
}

/// Records that may have been sent and are sent again. Besides a crash, these are the only sources of
/// duplicates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PossibleDuplicates {
    /// The shutdown timeout passed while they were in flight.
    pub stop_deadline: u64,
    /// The lease was lost while they were in flight.
    pub lost_lease: u64,
    /// The producer was rebuilt while they were in flight.
    pub producer_rebuilt: u64,
    /// The database was restored to an earlier state, and they were after its cursor.
    pub database_went_back: u64,
}

/// Health of a running relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayHealth {
    /// Another relay is active, or this relay is waiting for the lease.
    Standby,
    /// This relay is active and working.
    Active,
    /// This relay keeps retrying and has made no progress for a while.
    Unhealthy {
        /// Time without progress.
        lasting: Duration,
        /// The reason.
        because: String,
    },
    /// The relay has ended.
    Stopped,
}

/// Time without progress after which a relay is unhealthy.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(10);

/// Counters of a running relay. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RelayProgress {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    dead_lettered: AtomicU64,
    parked: AtomicU64,
    pruned: AtomicU64,
    in_flight: AtomicUsize,
    active: AtomicBool,
    trouble: Mutex<Option<(Instant, String)>>,
}

impl RelayProgress {
    /// Records acknowledged since the relay was built.
    pub fn delivered(&self) -> u64 {
        self.counters.delivered.load(Ordering::Relaxed)
    }

    /// Records that were dead-lettered since the relay was built.
    pub fn dead_lettered(&self) -> u64 {
        self.counters.dead_lettered.load(Ordering::Relaxed)
    }

    /// Records that were parked since the relay was built.
    pub fn parked(&self) -> u64 {
        self.counters.parked.load(Ordering::Relaxed)
    }

    /// Delivered messages that were deleted by retention since the relay was built.
    pub fn pruned(&self) -> u64 {
        self.counters.pruned.load(Ordering::Relaxed)
    }

    /// Records in flight.
    pub fn in_flight(&self) -> usize {
        self.counters.in_flight.load(Ordering::Relaxed)
    }

    /// Whether this relay holds the lease.
    pub fn is_active(&self) -> bool {
        self.counters.active.load(Ordering::Relaxed)
    }

    /// Health of the relay. A relay becomes unhealthy after ten seconds without progress. Use
    /// [`RunningRelay::health`](super::RunningRelay::health) to learn whether it has ended.
    pub fn health(&self) -> RelayHealth {
        let trouble = self.trouble().clone();
        match trouble.map(|(since, because)| (since.elapsed(), because)) {
            Some((lasting, because)) if lasting >= UNHEALTHY_AFTER => {
                RelayHealth::Unhealthy { lasting, because }
            }
            _ if self.is_active() => RelayHealth::Active,
            _ => RelayHealth::Standby,
        }
    }

    /// Records a failure. Its duration counts from the first failure.
    pub(super) fn trouble_with(&self, because: impl Display) {
        let mut trouble = self.trouble();
        let since = trouble.take().map_or_else(Instant::now, |(since, _)| since);
        *trouble = Some((since, because.to_string()));
    }

    /// Records that the relay works again.
    pub(super) fn well(&self) {
        *self.trouble() = None;
    }

    fn trouble(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.counters
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn add_pruned(&self, messages: u64) {
        self.counters.pruned.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn set_in_flight(&self, records: usize) {
        self.counters.in_flight.store(records, Ordering::Relaxed);
    }

    pub(super) fn set_active(&self, active: bool) {
        self.counters.active.store(active, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_makes_unhealthy_only_when_it_lasts_and_counts_from_its_beginning() {
        let progress = RelayProgress::default();
        assert_eq!(progress.health(), RelayHealth::Standby);
        progress.set_active(true);
        progress.trouble_with("the broker is away");
        assert_eq!(progress.health(), RelayHealth::Active);
        let long_ago = Instant::now() - UNHEALTHY_AFTER;
        *progress.trouble() = Some((long_ago, "the broker is away".to_owned()));
        progress.trouble_with("the database is away");
        let health = progress.health();
        assert!(
            matches!(&health, RelayHealth::Unhealthy { lasting, because }
                if *lasting >= UNHEALTHY_AFTER && because == "the database is away"),
            "{health:?}"
        );
        progress.well();
        assert_eq!(progress.health(), RelayHealth::Active);
    }
}
