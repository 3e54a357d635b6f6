//! Commits of offsets.
//!
//! rdkafka's consumer does not learn the result of a commit that it does not wait for: librdkafka answers those by a
//! callback that rdkafka does not set. So everything is said again from time to time, and what matters is waited for.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::rebalance::Rebalances;
use crate::consumer::assignment::Place;

/// Sends a commit without waiting for its answer. One that fails does no harm: a later one says the same or more,
/// and what is delivered again is recognized.
pub(super) fn send(consumer: &BaseConsumer<Rebalances>, offsets: &[(Place, i64)]) {
    commit(consumer, offsets, CommitMode::Async);
}

/// Commits and waits for the answer: the partitions are about to move to another member.
pub(super) fn send_and_wait(consumer: &BaseConsumer<Rebalances>, offsets: &[(Place, i64)]) {
    commit(consumer, offsets, CommitMode::Sync);
}

fn commit(consumer: &BaseConsumer<Rebalances>, offsets: &[(Place, i64)], mode: CommitMode) {
    if offsets.is_empty() {
        return;
    }
    if let Err(error) = list(offsets).and_then(|list| consumer.commit(&list, mode)) {
        tracing::debug!(%error, "offsets were not committed");
    }
}

fn list(offsets: &[(Place, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
