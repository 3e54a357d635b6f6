//! The producers of a relay, and which of them a record goes through.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use super::describe::Distance;
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

/// How long the records of a partition may wait while their producer sends those of its other partitions to the same
/// broker, if nothing but the round trip counts. Fewer producers send fuller requests; more of them wait less.
const TURN: Duration = Duration::from_millis(4);

/// How long a broker may take to report a topic's partitions.
const REFRESH: Duration = Duration::from_secs(5);

/// How long records wait for their producer to connect before they are sent.
const CONNECT: Duration = Duration::from_secs(1);

const FAR: Distance = Distance {
    round_trip: Duration::MAX,
    brokers: 1,
};

/// Several producers, each with one request in flight to each broker.
///
/// librdkafka puts records of one partition into a request. With one request in flight a producer sends one
/// partition's records in each round trip, so a long distance is bridged by several producers. All records of a
/// partition go through the same one, which keeps their order; a topic whose batches have to be smaller has
/// producers of its own. Near the broker, one producer sends more than several, which send smaller requests: so a topic
/// has only as many as its partitions and the round trip need.
pub(super) struct Producers {
    client: Clients,
    at_most: u32,
    /// How far away the cluster is, once it was measured. As long as producers live it stays the same: a record must
    /// not go through another producer than those of its partition before it.
    distance: Option<Distance>,
    /// The hash of the first topic: its records go through the producer that connects first.
    first_topic: Option<u32>,
    settlements: SettlementQueue,
    started: HashMap<Share, Producer>,
    /// Those that have asked for no topic yet.
    fresh: Vec<Share>,
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
            distance: None,
            first_topic: None,
            settlements,
            started: HashMap::new(),
            fresh: Vec::new(),
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

    /// The cluster is this far away, for as long as the present producers live. One that was not measured counts as far.
    pub(super) fn measured(&mut self, distance: Option<Distance>) {
        self.distance.get_or_insert(distance.unwrap_or(FAR));
    }

    /// Starts the producers that a topic's records go through, and connects them.
    pub(super) async fn start_for(&mut self, topic: &str, route: &Route) -> Result<(), PublishError> {
        let Some(partitions) = route.partitions else {
            return self.start(route.batch_size);
        };
        self.first_topic.get_or_insert(murmur2(topic.as_bytes()));
        for place in 0..self.needed_for(partitions) {
            self.ensure(self.share_at(topic, place, route.batch_size))?;
        }
        self.connect(topic).await;
        Ok(())
    }

    /// Fresh producers ask for a topic that exists. The answer makes librdkafka ask for a producer id, without which it
    /// sends nothing. By itself it would do so half a second after its start. A producer that gets no answer is used as
    /// it is.
    async fn connect(&mut self, topic: &str) {
        let fresh = std::mem::take(&mut self.fresh);
        let producers = fresh.iter().filter_map(|share| self.started.get(share));
        let answers = join_all(producers.map(|producer| producer.refresh(topic, CONNECT))).await;
        for error in answers.into_iter().filter_map(Result::err) {
            tracing::debug!(topic, %error, "a producer did not connect in time");
        }
    }

    fn ensure(&mut self, share: Share) -> Result<(), PublishError> {
        if !self.started.contains_key(&share) {
            let producer = Producer::start(&self.client, share.batch_size, self.settlements.clone())?;
            self.started.insert(share, producer);
            self.fresh.push(share);
        }
        Ok(())
    }

    /// Neighbouring partitions have different leaders as a rule, so each producer gets as many of them as there are
    /// brokers: the partitions of a broker are spread over all producers.
    fn share(&self, topic: &str, partition: u32, partitions: u32, batch_size: usize) -> Share {
        let place = partition / self.distance().brokers % self.needed_for(partitions);
        self.share_at(topic, place, batch_size)
    }

    /// Topics with few partitions are spread as well.
    fn share_at(&self, topic: &str, place: u32, batch_size: usize) -> Share {
        let first = murmur2(topic.as_bytes()).wrapping_sub(self.first_topic.unwrap_or(0));
        let number = first.wrapping_add(place) % self.at_most;
        Share { batch_size, number }
    }

    fn distance(&self) -> Distance {
        self.distance.unwrap_or(FAR)
    }

    /// How many producers a topic of so many partitions needs.
    fn needed_for(&self, partitions: u32) -> u32 {
        let Distance { round_trip, brokers } = self.distance();
        let turns = partitions.div_ceil(brokers);
        let all_turns = round_trip.saturating_mul(turns).as_micros();
        let needed = all_turns.div_ceil(TURN.as_micros());
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        needed.min(turns).clamp(1, self.at_most)
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
        let share = match (partition, route.partitions) {
            (Some(partition), Some(partitions)) => {
                self.share(record.topic, partition, partitions, route.batch_size)
            }
            (None, _) | (_, None) => Share {
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
        let producers = self.started.values();
        try_join_all(producers.map(|producer| producer.refresh(topic, REFRESH)))
            .await
            .map(drop)
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
        self.distance = None;
        self.fresh.clear();
        self.started.drain().map(|(_, producer)| producer).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Instant;

    use super::*;
    use crate::publisher::kafka::route::RECHECK_KNOWN;

    fn producers(at_most: u32) -> Producers {
        Producers::new(Clients::new("localhost:1", None), at_most, SettlementQueue::new())
    }

    fn far(micros: u64, brokers: u32) -> Distance {
        let round_trip = Duration::from_micros(micros);
        Distance { round_trip, brokers }
    }

    fn shares(producers: &Producers, topic: &str, partitions: u32) -> HashSet<Share> {
        (0..partitions)
            .map(|partition| producers.share(topic, partition, partitions, 1_000))
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
    fn the_farther_the_broker_the_more_producers() {
        let mut used = Vec::new();
        for micros in [50, 300, 700, 1_000, 5_000, 50_000] {
            let mut producers = producers(8);
            producers.measured(Some(far(micros, 1)));
            used.push([1, 6, 60].map(|partitions| shares(&producers, "orders", partitions).len()));
        }
        let expected = [[1, 1, 1], [1, 1, 5], [1, 2, 8], [1, 2, 8], [1, 6, 8], [1, 6, 8]];
        assert_eq!(used, expected);
    }

    /// As Kafka spreads leaders, whichever broker leads the first partition.
    #[test]
    fn the_partitions_of_each_broker_are_spread_over_all_producers() {
        for (brokers, partitions, needed) in [(3, 60, 8), (3, 6, 2), (3, 12, 4), (2, 6, 3), (5, 30, 6)] {
            let mut producers = producers(8);
            producers.measured(Some(far(50_000, brokers)));
            for broker in 0..brokers {
                let of_broker = (0..partitions).filter(|partition| partition % brokers == broker);
                let used: HashSet<Share> = of_broker
                    .map(|partition| producers.share("orders", partition, partitions, 1_000))
                    .collect();
                assert_eq!(used.len(), needed, "{partitions} on {brokers}");
            }
        }
    }

    /// Each of them has a request in flight, so a partition waits for fewer others.
    #[test]
    fn the_more_brokers_the_fewer_producers() {
        let used = [1, 2, 3, 6, 60].map(|brokers| {
            let mut producers = producers(8);
            producers.measured(Some(far(400, brokers)));
            shares(&producers, "orders", 60).len()
        });
        assert_eq!(used, [6, 3, 2, 1, 1]);
    }

    #[test]
    fn a_round_trip_that_was_not_measured_counts_as_far() {
        let mut producers = producers(8);
        producers.measured(None);
        assert_eq!(shares(&producers, "orders", 6).len(), 6);
        producers.measured(Some(far(50, 1)));
        assert_eq!(shares(&producers, "orders", 6).len(), 6, "producers live");
        drop(producers.take());
        producers.measured(Some(far(50, 1)));
        assert_eq!(shares(&producers, "orders", 6).len(), 1);
    }

    /// They ask at the same time, and each only once.
    #[tokio::test]
    async fn producers_that_get_no_answer_hold_records_up_once() {
        let mut producers = producers(8);
        producers.start(1_000).unwrap();
        let mut route = Route::unknown(RECHECK_KNOWN, Some(60));
        route.batch_size = 1_000;
        let started = Instant::now();
        producers.start_for("orders", &route).await.unwrap();
        assert!(started.elapsed() >= CONNECT && started.elapsed() < 5 * CONNECT);
        assert_eq!(producers.len(), 8);
        let started = Instant::now();
        producers.start_for("payments", &route).await.unwrap();
        assert!(started.elapsed() < CONNECT);
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
