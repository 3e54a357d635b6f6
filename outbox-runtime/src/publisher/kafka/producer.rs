//! One producer with a thread of its own, whose delivery reports settle records.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::{ClientContext, Statistics};

use super::record::Prepared;
use super::{classify, properties};
use crate::librdkafka::{Clients, Connected};
use crate::metrics::ClientStatistics;
use crate::publisher::{PublishError, PublishErrorKind, SettlementQueue, Ticket};
use crate::record::OutboxRecord;

pub(super) struct Producer(Connected<ThreadedProducer<Reports>>);

impl Producer {
    pub(super) fn start(
        client: &Clients,
        batch_size: usize,
        settlements: SettlementQueue,
    ) -> Result<Self, PublishError> {
        let mut config = client.clone();
        properties::guard(&mut config, batch_size);
        let reports = Reports::new(settlements, client);
        let producer = config.create_recording(reports).map_err(|error| {
            PublishError::new(
                PublishErrorKind::Unavailable,
                "the Kafka producer could not be started",
            )
            .with_source(error)
        })?;
        Ok(Self(producer))
    }

    pub(super) fn send(
        &self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        partition: Option<u32>,
        prepared: Prepared,
    ) -> Result<(), PublishError> {
        hand_over(&self.0, ticket, record, partition, prepared)
    }

    /// Asks the broker for a topic's partitions, for this producer to know them.
    pub(super) async fn refresh(&self, topic: &str, timeout: Duration) -> Result<(), PublishError> {
        let (producer, name) = (self.0.clone(), topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            producer.client().fetch_metadata(Some(&name), timeout).map(drop)
        });
        let unavailable = || {
            let text = format!("the broker does not report the partitions of topic `{topic}`");
            PublishError::new(PublishErrorKind::Unavailable, text)
        };
        asked
            .await
            .map_err(|error| unavailable().with_source(error))?
            .map_err(|error| unavailable().with_source(error))
    }

    /// The cluster's name for itself, once a broker has reported it.
    pub(super) fn cluster(&self) -> Option<String> {
        self.0.client().fetch_cluster_id(Duration::ZERO)
    }

    pub(super) fn withdraw(&self) {
        self.0.purge(PurgeConfig::default().queue());
    }
}

/// Puts a record into the producer's queue. Without a partition, librdkafka chooses the same by the key.
pub(super) fn hand_over(
    producer: &ThreadedProducer<Reports>,
    ticket: Ticket,
    record: &OutboxRecord<'_>,
    partition: Option<u32>,
    prepared: Prepared,
) -> Result<(), PublishError> {
    let mut message = BaseRecord::<str, [u8], usize>::with_opaque_to(record.topic, ticket as usize)
        .key(record.key)
        .timestamp(record.occurred_at_ms)
        .headers(prepared.headers);
    message.payload = record.payload;
    message.partition = partition.and_then(|partition| i32::try_from(partition).ok());
    producer
        .send(message)
        .map_err(|(error, _)| classify::refused(error))
}

/// Passes delivery reports on, and what librdkafka has to say to the log.
pub(super) struct Reports {
    settlements: SettlementQueue,
    statistics: Option<ClientStatistics>,
}

impl Reports {
    /// Of another one of these clients.
    pub(super) fn new(settlements: SettlementQueue, clients: &Clients) -> Self {
        Self {
            settlements,
            statistics: clients.statistics(),
        }
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        // Every event comes here twice; the records' own reports say what matters.
        tracing::debug!(%error, reason, "kafka client");
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(recorded) = &self.statistics {
            recorded.record(&statistics);
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, record)) => Err(Box::new(classify::failed(error, record.topic()))),
        };
        self.settlements.settle(ticket as Ticket, result);
    }
}
