//! What a relay has done, while it runs and at its end.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    pub leader_terms: u64,
    /// How often the database or the broker interrupted the work.
    pub interruptions: u64,
}

/// Records that were or may have been sent, and are sent again: the only source of duplicates beside a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PossibleDuplicates {
    /// A stop's deadline passed while they were on their way.
    pub stop_deadline: u64,
    /// The lease was lost while they were on their way.
    pub lost_lease: u64,
    /// The producer had to be rebuilt while they were on their way.
    pub producer_rebuilt: u64,
    /// The database went on from an earlier moment, and these were behind its cursor.
    pub database_went_back: u64,
}

/// How a relay that runs is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayHealth {
    /// Another relay is active, or the lease is being waited for.
    Standby,
    /// It is the active one, and what it does works.
    Active,
    /// It goes on trying, and has not come any further for long.
    Unhealthy {
        /// For how long.
        lasting: Duration,
        /// What it waits for.
        because: String,
    },
    /// It has ended.
    Stopped,
}

/// Trouble that lasts for less is no reason to call a relay unhealthy.
const UNHEALTHY_AFTER: Duration = Duration::from_secs(10);

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
    trouble: Mutex<Option<(Instant, String)>>,
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

    /// Records in flight now.
    pub fn in_flight(&self) -> usize {
        self.counters.in_flight.load(Ordering::Relaxed)
    }

    /// Whether this relay holds the lease.
    pub fn is_active(&self) -> bool {
        self.counters.active.load(Ordering::Relaxed)
    }

    /// How the relay is. Trouble of less than ten seconds does not count. A relay that has ended by itself is told
    /// by [`RunningRelay::health`](super::RunningRelay::health).
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

    /// Something does not work; how long that lasts counts from the first time.
    pub(super) fn trouble_with(&self, because: impl Display) {
        let mut trouble = self.trouble();
        let since = trouble.take().map_or_else(Instant::now, |(since, _)| since);
        *trouble = Some((since, because.to_string()));
    }

    /// Something works again.
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
