//! Kafka through rdkafka: idempotent producers whose delivery reports settle records.

mod builder;
mod classify;
mod closing;
mod commit;
mod complaints;
mod cursor;
mod cursor_topic;
mod producer;
mod properties;
mod record;
mod topics;
mod transactional;

pub use builder::KafkaPublisherBuilder;

use self::producer::Producer;
use self::topics::{Route, Topics};
use self::transactional::{Cursors, KafkaTransactions};
use super::{PublishError, PublishErrorKind, Publisher, Settlement, SettlementQueue, Ticket, Transactions};
use crate::failpoint;
use crate::librdkafka::Clients;
use crate::record::{OutboxRecord, WireOptions};

/// Sends records to Kafka.
///
/// The producer is idempotent, waits for all in-sync replicas and for as long as it takes, and partitions as
/// Java's does (`murmur2_random`). A batch is never larger than the smallest `max.message.bytes` of its topics,
/// so that one record which is too large does not take its neighbours along; topics with a small limit go
/// through a producer of their own.
pub struct KafkaPublisher {
    client: Clients,
    topics: Topics,
    /// By batch size: a topic's records always go through the producer of its batch size.
    producers: Vec<(usize, Producer)>,
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
    /// A publisher for the cluster that these brokers (`host:port,host:port`) belong to.
    pub fn builder(brokers: impl Into<String>) -> KafkaPublisherBuilder {
        KafkaPublisherBuilder::new(brokers.into())
    }

    fn new(client: Clients, topics: Topics, compresses: bool, cursors: Cursors) -> Self {
        Self {
            client,
            topics,
            producers: Vec::new(),
            settlements: SettlementQueue::new(),
            compresses,
            cursors,
        }
    }

    fn producer(&mut self, batch_size: usize) -> Result<&Producer, PublishError> {
        let known = self.producers.iter().position(|(size, _)| *size == batch_size);
        let index = match known {
            Some(index) => index,
            None => {
                let producer = Producer::start(&self.client, batch_size, self.settlements.clone())?;
                self.producers.push((batch_size, producer));
                self.producers.len() - 1
            }
        };
        Ok(&self.producers[index].1)
    }
}

impl Drop for KafkaPublisher {
    fn drop(&mut self) {
        let admin = self.topics.forget();
        closing::drop_in_time((std::mem::take(&mut self.producers), admin));
    }
}

impl Publisher for KafkaPublisher {
    /// The first acknowledgement of a fresh idempotent producer takes up to a second.
    fn start(&mut self) -> Result<(), PublishError> {
        self.producer(topics::LARGEST_BATCH).map(drop)
    }

    async fn prepare(&mut self, topic: &str) -> Result<(), PublishError> {
        let route = self.topics.look_up(topic).await?;
        let moves = self
            .topics
            .known(topic)
            .is_some_and(|known| known.batch_size != route.batch_size);
        if moves {
            // Records in two producers' queues would race.
            self.settlements.drained().await;
        }
        self.producer(route.batch_size)?;
        self.topics.remember(topic, route);
        Ok(())
    }

    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError> {
        record::check_topic(record.topic)?;
        let Some(route) = self.topics.fresh(record.topic) else {
            return Err(PublishError::new(
                PublishErrorKind::Unprepared,
                "the topic's settings are not known",
            ));
        };
        let Route { batch_size, .. } = *route;
        let prepared = record::Prepared::new(record, wire)?;
        prepared.check(record, route, self.compresses)?;
        let producer = self
            .producers
            .iter()
            .find(|(size, _)| *size == batch_size)
            .map(|(_, producer)| producer);
        let Some(producer) = producer else {
            return Err(PublishError::new(
                PublishErrorKind::Unprepared,
                "the producer was rebuilt",
            ));
        };
        failpoint::send(record.key);
        self.settlements.handing_over();
        let sent = producer.send(ticket, record, prepared);
        if sent.is_err() {
            self.settlements.refused();
        }
        sent
    }

    async fn settled(&mut self, into: &mut Vec<Settlement>) {
        self.settlements.next(into).await;
    }

    fn withdraw(&mut self) {
        for (_, producer) in &self.producers {
            producer.withdraw();
        }
    }

    fn cluster(&self) -> Option<String> {
        self.producers
            .first()
            .and_then(|(_, producer)| producer.cluster())
    }

    /// A client of its own asks, so that what ails the producers does not ail it.
    async fn answers(&mut self) -> bool {
        self.topics.broker_answers().await
    }

    fn transactions(&self) -> Option<Box<dyn Transactions>> {
        Some(Box::new(KafkaTransactions::new(
            self.client.clone(),
            self.topics.anew(),
            self.cursors.clone(),
            self.compresses,
        )))
    }

    async fn rebuild(&mut self) -> Result<(), PublishError> {
        let producers = std::mem::take(&mut self.producers);
        let admin = self.topics.forget();
        // Dropping a producer settles what it still had, and may take half a second.
        let dropped = tokio::task::spawn_blocking(move || closing::drop_in_time((producers, admin))).await;
        dropped.map_err(|error| {
            PublishError::new(PublishErrorKind::Fatal, "dropping the producer").with_source(error)
        })
    }
}
