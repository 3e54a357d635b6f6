//! Counters and health of a relay.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Counters of a relay at its end.
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

/// Numbers of records that may have been sent and are sent again, by reason. A crash is not counted, nor are
/// two causes that librdkafka does not report: see "Duplicates" in `docs/delivery-guarantees.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PossibleDuplicates {
    /// The shutdown timeout passed while the records were in flight.
    pub stop_deadline: u64,
    /// The lease was lost while the records were in flight.
    pub lost_lease: u64,
    /// The producer was rebuilt while the records were in flight.
    pub producer_rebuilt: u64,
    /// The database was restored to an earlier state, and the records are after its cursor.
    pub database_went_back: u64,
    /// An operator rewound the log, and the records are after its cursor again.
    pub rewound: u64,
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

/// What a relay waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Kafka,
    Database,
}

impl Server {
    /// The word for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Database => "database",
        }
    }
}

/// A failure that lasts.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// What failed last.
    pub(super) server: Server,
    /// When the first failure was.
    pub(super) since: Instant,
    /// The last failure.
    pub(super) error: String,
}

impl Trouble {
    /// Whether both are of one outage.
    pub(super) fn is_same_outage(&self, other: &Self) -> bool {
        self.server == other.server && self.since == other.since
    }
}

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
    paused: AtomicBool,
    ended: AtomicBool,
    trouble: watch::Sender<Option<Trouble>>,
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

    /// Delivered messages that retention has deleted since the relay was built.
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

    /// Whether this relay holds the lease and sends nothing because the log is paused.
    pub fn is_paused(&self) -> bool {
        self.counters.paused.load(Ordering::Relaxed)
    }

    /// Health of the relay. A relay becomes unhealthy after ten seconds without progress. The end
    /// of a relay is known only if it was [spawned](super::Relay::spawn).
    pub fn health(&self) -> RelayHealth {
        match self.trouble_lasting() {
            _ if self.counters.ended.load(Ordering::Relaxed) => RelayHealth::Stopped,
            Some((lasting, because)) if lasting >= UNHEALTHY_AFTER => {
                RelayHealth::Unhealthy { lasting, because }
            }
            _ if self.is_active() => RelayHealth::Active,
            _ => RelayHealth::Standby,
        }
    }

    /// How long the relay has been failing, and why.
    pub(crate) fn trouble_lasting(&self) -> Option<(Duration, String)> {
        let trouble = self.counters.trouble.borrow();
        let trouble = trouble.as_ref()?;
        Some((trouble.since.elapsed(), trouble.error.clone()))
    }

    /// Records that the relay has ended.
    pub(super) fn end(&self) {
        self.counters.ended.store(true, Ordering::Relaxed);
    }

    /// Records a failure. Its duration counts from the first failure.
    pub(super) fn trouble_with(&self, server: Server, because: impl Display) {
        let error = because.to_string();
        self.counters.trouble.send_modify(|trouble| {
            let since = trouble.take().map_or_else(Instant::now, |trouble| trouble.since);
            *trouble = Some(Trouble { server, since, error });
        });
    }

    /// Records that the relay works again.
    pub(super) fn well(&self) {
        self.counters
            .trouble
            .send_if_modified(|trouble| trouble.take().is_some());
    }

    /// What fails, for who wants to hear of changes.
    pub(super) fn troubles(&self) -> watch::Receiver<Option<Trouble>> {
        self.counters.trouble.subscribe()
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

    pub(super) fn set_paused(&self, paused: bool) {
        self.counters.paused.store(paused, Ordering::Relaxed);
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
        progress.trouble_with(Server::Kafka, "the broker is away");
        assert_eq!(progress.health(), RelayHealth::Active);
        let long_ago = Instant::now() - UNHEALTHY_AFTER;
        progress
            .counters
            .trouble
            .send_modify(|trouble| trouble.as_mut().unwrap().since = long_ago);
        progress.trouble_with(Server::Database, "the database is away");
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
