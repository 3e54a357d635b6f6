//! Commits of offsets, and what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::rebalance::Rebalances;
use crate::consumer::assignment::Place;

/// Commits that are under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Commits {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    failed: AtomicBool,
}

impl Commits {
    /// Sends a commit without waiting for its answer. One that fails does no harm: the next one says more, and
    /// what is delivered again is recognized.
    pub(super) fn send(&self, consumer: &BaseConsumer<Rebalances>, offsets: &[(Place, i64)]) {
        if offsets.is_empty() {
            return;
        }
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        let sent = list(offsets).and_then(|list| consumer.commit(&list, CommitMode::Async));
        if let Err(error) = sent {
            self.answered(&Err(error));
        }
    }

    /// Commits and waits for the answer: the partitions go to another member in a moment.
    pub(super) fn send_and_wait(&self, consumer: &BaseConsumer<Rebalances>, offsets: &[(Place, i64)]) {
        if offsets.is_empty() {
            return;
        }
        let sent = list(offsets).and_then(|list| consumer.commit(&list, CommitMode::Sync));
        if let Err(error) = sent {
            tracing::debug!(%error, "offsets were not committed before partitions left");
        }
    }

    pub(super) fn answered(&self, result: &KafkaResult<()>) {
        if let Err(error) = result {
            tracing::debug!(%error, "offsets were not committed; the next commit says more");
            self.shared.failed.store(true, Ordering::Release);
        }
        let one_less = |waiting: usize| waiting.checked_sub(1);
        // Commits that are waited for are answered here too.
        let _ = self
            .shared
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
    }

    /// Whether an answer is still to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) > 0
    }

    /// Whether a commit has failed since this was asked last.
    pub(super) fn has_failed(&self) -> bool {
        self.shared.failed.swap(false, Ordering::AcqRel)
    }
}

fn list(offsets: &[(Place, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
