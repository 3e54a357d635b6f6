//! The partitions that this member has, and how far each is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::worker::Worker;

/// How long a dropped handler may take to notice: it does so at its next await.
const GRACE: Duration = Duration::from_secs(2);

/// A topic and one of its partitions.
pub(super) type Place = (String, i32);

/// A partition with a worker.
pub(super) struct Assigned {
    pub(super) worker: Worker,
    /// Kafka does not send, since the queue was full.
    pub(super) paused: bool,
    committed: Option<i64>,
}

/// All partitions with a worker.
#[derive(Default)]
pub(super) struct Assignment {
    partitions: HashMap<Place, Assigned>,
}

impl Assignment {
    /// The partition, with a new worker if it has none.
    pub(super) fn of(&mut self, place: Place, start: impl FnOnce() -> Worker) -> &mut Assigned {
        self.partitions.entry(place).or_insert_with(|| Assigned {
            worker: start(),
            paused: false,
            committed: None,
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Place, &mut Assigned)> {
        self.partitions.iter_mut()
    }

    /// The partitions among these that have a worker, which they leave.
    pub(super) fn take(&mut self, places: &[Place]) -> Vec<(Place, Assigned)> {
        places
            .iter()
            .filter_map(|place| self.partitions.remove_entry(place))
            .collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<(Place, Assigned)> {
        self.partitions.drain().collect()
    }

    /// Offsets that are further than what was committed last; from now on they count as that.
    pub(super) fn advance(&mut self) -> Vec<(Place, i64)> {
        let further = |(place, assigned): (&Place, &mut Assigned)| Some((place.clone(), assigned.further()?));
        self.partitions.iter_mut().filter_map(further).collect()
    }

    /// Everything is committed again next time: the last commit may have failed.
    pub(super) fn forget_commits(&mut self) {
        for assigned in self.partitions.values_mut() {
            assigned.committed = None;
        }
    }

    /// The partition whose worker has ended by itself.
    pub(super) fn dead(&self) -> Option<&Place> {
        let dead = self
            .partitions
            .iter()
            .find(|(_, assigned)| assigned.worker.died());
        dead.map(|(place, _)| place)
    }
}

impl Assigned {
    fn further(&mut self) -> Option<i64> {
        let reached = self.worker.next_offset();
        if reached == self.committed {
            return None;
        }
        self.committed = reached;
        reached
    }
}

/// Ends these workers: handlers that run may come to their end until `limit` has passed, and are dropped then.
/// Returns the offsets to commit. Blocks its thread.
pub(super) fn finish(mut leaving: Vec<(Place, Assigned)>, limit: Duration) -> Vec<(Place, i64)> {
    let deadline = Instant::now() + limit;
    for (_, assigned) in &leaving {
        assigned.worker.ask_to_stop();
    }
    let late: Vec<_> = leaving
        .iter()
        .filter(|(_, assigned)| !assigned.worker.wait_until(deadline))
        .collect();
    for ((topic, partition), assigned) in &late {
        tracing::warn!(
            topic,
            partition,
            "a handler exceeded the timeout; its transaction is rolled back"
        );
        assigned.worker.abandon();
    }
    let deadline = Instant::now() + GRACE;
    for ((topic, partition), assigned) in &late {
        if !assigned.worker.wait_until(deadline) {
            tracing::error!(
                topic,
                partition,
                "a handler blocks its thread and cannot be dropped"
            );
        }
    }
    leaving
        .iter_mut()
        .filter_map(|(place, assigned)| Some((place.clone(), assigned.further()?)))
        .collect()
}
