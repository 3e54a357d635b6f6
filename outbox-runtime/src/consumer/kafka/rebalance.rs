//! Partitions that come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, Statistics};

use super::commits;
use super::poll::{list, lock};
use crate::consumer::assignment::{Assignment, Place, finish};
use crate::metrics::ClientStatistics;

/// What librdkafka calls, always on the thread that polls.
pub(super) struct Rebalances {
    pub(super) assignment: Arc<Mutex<Assignment>>,
    pub(super) revoke_timeout: Duration,
    pub(super) statistics: Option<ClientStatistics>,
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(recorded) = &self.statistics {
            recorded.record(&statistics);
        }
    }
}

impl ConsumerContext for Rebalances {
    /// Before partitions leave, their workers end: handlers that run come to their end, and how far they are is
    /// committed while the partitions are still ours. The next member begins there.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(leaving) = rebalance else {
            return;
        };
        let places: Vec<Place> = leaving
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        let leaving = lock(&self.assignment).take(&places);
        let paused = leaving.iter().filter(|(_, assigned)| assigned.paused);
        // librdkafka would remember the pause when a partition comes back.
        if let Err(error) = consumer.resume(&list(paused.map(|(place, _)| place))) {
            tracing::debug!(%error, "partitions could not be resumed");
        }
        if consumer.assignment_lost() {
            // Somebody else has them already. What runs would be waited for there, by the inbox.
            tracing::warn!(partitions = places.len(), "partitions were lost without notice");
            finish(leaving, Duration::ZERO);
            return;
        }
        tracing::debug!(partitions = places.len(), "partitions leave");
        let offsets = finish(leaving, self.revoke_timeout);
        commits::send_and_wait(consumer, &offsets);
    }
}
