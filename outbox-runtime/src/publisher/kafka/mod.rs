//! Kafka through rdkafka: idempotent producers whose delivery reports settle records.

mod builder;
mod classify;
mod closing;
mod commit;
mod complaints;
mod cursor;
mod cursor_topic;
mod describe;
mod names;
mod partitions;
mod producer;
mod producers;
mod properties;
mod record;
mod route;
mod topics;
mod transactional;
mod transactional_producer;

pub use builder::KafkaPublisherBuilder;
pub(crate) use partitions::partition_of;

use std::collections::BTreeSet;

use self::names::TopicNames;
use self::producers::Producers;
use self::topics::Topics;
use self::transactional::{Cursors, KafkaTransactions};
use super::{PublishError, PublishErrorKind, Publisher, Settlement, SettlementQueue, Ticket, Transactions};
use crate::failpoint;
use crate::librdkafka::Clients;
use crate::metrics::ClientMetrics;
use crate::record::{OutboxRecord, WireOptions};

/// Sends records to Kafka.
///
/// The producer is idempotent, waits for all in-sync replicas without a time limit, and partitions like
/// Kafka's Java client (`murmur2_random`). A batch is never larger than the smallest `max.message.bytes` of
/// its topics, so that a record which is too large does not fail other records. Topics with a small limit use
/// separate producers. Several producers share the partitions, each with one request in flight to each broker
/// ([`producers`](KafkaPublisherBuilder::producers)).
pub struct KafkaPublisher {
    client: Clients,
    names: TopicNames,
    topics: Topics,
    producers: Producers,
    settlements: SettlementQueue,
    compresses: bool,
    cursors: Cursors,
}

impl std::fmt::Debug for KafkaPublisher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's properties may hold a password.
        formatter
            .debug_struct("KafkaPublisher")
            .field("producers", &self.producers.len())
            .finish_non_exhaustive()
    }
}

impl KafkaPublisher {
    /// Builds a publisher for the cluster of these brokers (`host:port,host:port`).
    pub fn builder(brokers: impl Into<String>) -> KafkaPublisherBuilder {
        KafkaPublisherBuilder::new(brokers.into())
    }

    fn new(
        client: Clients,
        names: TopicNames,
        topics: Topics,
        producers: u32,
        compresses: bool,
        cursors: Cursors,
    ) -> Self {
        let settlements = SettlementQueue::new();
        Self {
            names,
            producers: Producers::new(client.clone(), producers, settlements.clone()),
            client,
            topics,
            settlements,
            compresses,
            cursors,
        }
    }

    /// All that is connected to the brokers, to be dropped.
    fn take_clients(&mut self) -> Vec<closing::AnyClient> {
        let mut clients: Vec<closing::AnyClient> = Vec::new();
        for producer in self.producers.take() {
            clients.push(Box::new(producer));
        }
        if let Some(admin) = self.topics.forget() {
            clients.push(Box::new(admin));
        }
        clients
    }
}

impl Drop for KafkaPublisher {
    fn drop(&mut self) {
        closing::drop_in_time(self.take_clients());
    }
}

impl Publisher for KafkaPublisher {
    fn name_log(&mut self, log: &str) {
        let metrics = ClientMetrics::of_relay(log);
        self.producers.record_statistics(metrics.clone());
        self.client.record_statistics(metrics);
    }

    /// The first acknowledgement of a fresh idempotent producer takes up to a second.
    fn start(&mut self) -> Result<(), PublishError> {
        self.producers.start(route::LARGEST_BATCH)
    }

    fn announce(&mut self, topics: &BTreeSet<&str>) {
        for topic in topics {
            self.topics.announce(self.names.of(topic));
        }
    }

    fn is_announced(&self, topic: &str) -> bool {
        let topic = self.names.known(topic);
        topic.is_some_and(|topic| self.topics.is_announced(topic))
    }

    async fn prepare(&mut self, topic: &str) -> Result<(), PublishError> {
        let topic = self.names.of(topic);
        let route = self.topics.look_up(topic).await?;
        if let Some(known) = self.topics.known(topic)
            && !known.goes_as(&route)
        {
            let grew = known.has_grown_to(&route);
            // Records in two producers' queues would race.
            self.settlements.drained().await;
            if grew {
                self.producers.refresh(topic).await?;
            }
        }
        self.producers.measured(self.topics.distance(topic).await);
        self.producers.start_for(topic, &route).await?;
        self.topics.remember(topic, route);
        Ok(())
    }

    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError> {
        let record = &OutboxRecord {
            topic: self.names.of(record.topic),
            ..*record
        };
        record::check_topic(record.topic)?;
        let Some(route) = self.topics.usable(record.topic) else {
            return Err(PublishError::new(
                PublishErrorKind::Unprepared,
                "the topic's settings are not known",
            ));
        };
        let prepared = record::Prepared::new(record, wire)?;
        prepared.check(record, route, self.compresses)?;
        failpoint::send(record.key);
        let sent = self.producers.send(ticket, record, route, prepared);
        match sent {
            // The topic was created again, with fewer partitions.
            Err(refused) if refused.kind() == PublishErrorKind::Topic && !route.was_just_asked() => {
                self.topics.expire(record.topic);
                let what = "the topic's partitions may have changed since they were read";
                Err(PublishError::new(PublishErrorKind::Unprepared, what).with_source(refused))
            }
            sent => sent,
        }
    }

    async fn settled(&mut self, into: &mut Vec<Settlement>) {
        loop {
            tokio::select! {
                biased;
                () = self.settlements.next(into) => return,
                () = self.topics.refresh() => {}
            }
        }
    }

    fn withdraw(&mut self) {
        self.producers.withdraw();
    }

    fn cluster(&self) -> Option<String> {
        self.producers.cluster()
    }

    /// A client of its own asks, so that what ails the producers does not ail it.
    async fn answers(&mut self) -> bool {
        self.topics.broker_answers().await
    }

    fn transactions(&self) -> Option<Box<dyn Transactions>> {
        Some(Box::new(KafkaTransactions::new(
            self.client.clone(),
            self.names.clone(),
            self.topics.anew(),
            self.cursors.clone(),
            self.compresses,
        )))
    }

    async fn rebuild(&mut self) -> Result<(), PublishError> {
        let clients = self.take_clients();
        // Dropping a producer settles what it still had, and may take half a second.
        let dropped = tokio::task::spawn_blocking(move || closing::drop_in_time(clients)).await;
        dropped.map_err(|error| {
            PublishError::new(PublishErrorKind::Fatal, "dropping the producer").with_source(error)
        })
    }
}
