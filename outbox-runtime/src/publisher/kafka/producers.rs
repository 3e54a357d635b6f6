//! The producers of a relay, and which of them a record goes through.

use std::collections::HashMap;

use super::partitions::{murmur2, partition_of};
use super::producer::Producer;
use super::record::Prepared;
use super::route::Route;
use crate::librdkafka::Clients;
use crate::metrics::ClientMetrics;
use crate::publisher::{PublishError, PublishErrorKind, SettlementQueue, Ticket};
use crate::record::OutboxRecord;

/// How many producers a relay has at most where nothing else is said.
pub(super) const DEFAULT_PRODUCERS: u32 = 8;

/// Several producers, each with one request in flight to each broker.
///
/// librdkafka puts records of one partition into a request. With one request in flight a producer sends one
/// partition's records in each round trip, so a long distance is bridged by several producers. All records of a
/// partition go through the same one, which keeps their order; a topic whose batches have to be smaller has
/// producers of its own.
pub(super) struct Producers {
    client: Clients,
    at_most: u32,
    settlements: SettlementQueue,
    started: HashMap<Share, Producer>,
}

/// What a producer sends: the records of some partitions, in batches of some size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Share {
    batch_size: usize,
    number: u32,
}

impl Producers {
    pub(super) fn new(client: Clients, at_most: u32, settlements: SettlementQueue) -> Self {
        Self {
            client,
            at_most,
            settlements,
            started: HashMap::new(),
        }
    }

    /// Producers that start from now on record their statistics.
    pub(super) fn record_statistics(&mut self, metrics: ClientMetrics) {
        self.client.record_statistics(metrics);
    }

    pub(super) fn len(&self) -> usize {
        self.started.len()
    }

    /// Starts the producer that connects first.
    pub(super) fn start(&mut self, batch_size: usize) -> Result<(), PublishError> {
        self.ensure(Share {
            batch_size,
            number: 0,
        })
    }

    /// Starts the producers that a topic's records go through.
    pub(super) fn start_for(&mut self, topic: &str, route: &Route) -> Result<(), PublishError> {
        let Some(partitions) = route.partitions else {
            return self.start(route.batch_size);
        };
        for partition in 0..partitions.min(self.at_most) {
            self.ensure(self.share(topic, partition, route.batch_size))?;
        }
        Ok(())
    }

    fn ensure(&mut self, share: Share) -> Result<(), PublishError> {
        if !self.started.contains_key(&share) {
            let producer = Producer::start(&self.client, share.batch_size, self.settlements.clone())?;
            self.started.insert(share, producer);
        }
        Ok(())
    }

    /// Neighbouring partitions go through different producers, and topics with one partition are spread as well.
    fn share(&self, topic: &str, partition: u32, batch_size: usize) -> Share {
        let number = murmur2(topic.as_bytes()).wrapping_add(partition) % self.at_most;
        Share { batch_size, number }
    }

    /// Hands a record to the producer of its partition.
    pub(super) fn send(
        &self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        route: &Route,
        prepared: Prepared,
    ) -> Result<(), PublishError> {
        let partition = route
            .partitions
            .map(|count| partition_of(record.key.as_bytes(), count));
        let share = match partition {
            Some(partition) => self.share(record.topic, partition, route.batch_size),
            None => Share {
                batch_size: route.batch_size,
                number: 0,
            },
        };
        let Some(producer) = self.started.get(&share) else {
            let what = "the producers were rebuilt";
            return Err(PublishError::new(PublishErrorKind::Unprepared, what));
        };
        self.settlements.handing_over();
        let sent = producer.send(ticket, record, partition, prepared);
        if sent.is_err() {
            self.settlements.refused();
        }
        sent
    }

    /// Passes the producers of a topic its present number of partitions. They would find out by themselves within
    /// ten seconds, and refuse records of partitions that are new to them until then.
    pub(super) async fn refresh(&self, topic: &str) -> Result<(), PublishError> {
        for producer in self.started.values() {
            producer.refresh(topic).await?;
        }
        Ok(())
    }

    pub(super) fn withdraw(&self) {
        for producer in self.started.values() {
            producer.withdraw();
        }
    }

    /// The cluster's name for itself, once a broker has reported it.
    pub(super) fn cluster(&self) -> Option<String> {
        self.started.values().find_map(Producer::cluster)
    }

    /// Gives the producers away, to be dropped; new ones start when they are needed.
    pub(super) fn take(&mut self) -> Vec<Producer> {
        self.started.drain().map(|(_, producer)| producer).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn producers(at_most: u32) -> Producers {
        Producers::new(Clients::new("localhost:1", None), at_most, SettlementQueue::new())
    }

    fn shares(producers: &Producers, topic: &str, partitions: u32) -> HashSet<Share> {
        (0..partitions)
            .map(|partition| producers.share(topic, partition, 1_000))
            .collect()
    }

    #[test]
    fn partitions_are_spread_over_all_producers() {
        for at_most in [1, 3, 4, 8] {
            let producers = producers(at_most);
            for partitions in [1, 2, 6, 60] {
                let used = shares(&producers, "orders", partitions).len();
                assert_eq!(
                    used,
                    partitions.min(at_most) as usize,
                    "{partitions} over {at_most}"
                );
            }
        }
    }

    #[test]
    fn topics_with_one_partition_do_not_all_share_a_producer() {
        let producers = producers(4);
        let used: HashSet<Share> = (0..40)
            .flat_map(|topic| shares(&producers, &format!("orders-{topic}"), 1))
            .collect();
        assert_eq!(used.len(), 4);
    }
}
