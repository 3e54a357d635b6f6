//! One transactional producer, whose calls block threads of their own.

use std::convert::Infallible;
use std::error::Error as _;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::commit::{TOOK_ITS_TIME, commit, took_its_time};
use super::producer::{self, Reports};
use super::record::Prepared;
use super::{classify, complaints, properties};
use crate::librdkafka::{Clients, Connected, Right};
use crate::publisher::{PublishError, PublishErrorKind, SettlementQueue, Ticket};
use crate::record::OutboxRecord;

/// How long the broker may take to become this producer's, to commit and to abort.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a call blocks its thread. It goes on where it was when it is made again, and a stop waits no longer than so.
const SLICE: Duration = Duration::from_secs(1);

/// Between two questions at first. It doubles up to [`SLICE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The producer of one transactional id.
pub(super) struct TransactionalProducer {
    producer: Connected<ThreadedProducer<Reports>>,
    id: String,
}

/// A producer could not become the one of its transactional id.
pub(super) struct NotFenced {
    error: PublishError,
    id: String,
}

impl TransactionalProducer {
    pub(super) fn start(
        client: &Clients,
        batch_size: usize,
        id: String,
        settlements: SettlementQueue,
    ) -> Result<Self, PublishError> {
        let mut config = client.clone();
        properties::guard_transactions(&mut config, batch_size, id.clone());
        let producer = config
            .create_recording(Reports::new(settlements, client))
            .map_err(|error| {
                let what = "the transactional Kafka producer could not be started";
                PublishError::new(PublishErrorKind::Unavailable, what).with_source(error)
            })?;
        Ok(Self { producer, id })
    }

    /// Becomes the one of its id. An earlier one can do nothing any more, and its transaction has ended. `topic` is one that
    /// it will send to, which this does not create.
    pub(super) async fn fence_others(&self, topic: &str) -> Result<(), NotFenced> {
        let initiated = self.patiently(|producer| producer.init_transactions(SLICE).map_err(failed));
        let initiated = tokio::select! {
            initiated = initiated => initiated,
            never = self.ask_again_and_again(topic) => match never {},
        };
        initiated.map_err(|error| NotFenced {
            error,
            id: self.id.clone(),
        })
    }

    pub(super) fn begin(&self) -> Result<(), PublishError> {
        self.producer.begin_transaction().map_err(failed)
    }

    pub(super) fn send(
        &self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        prepared: Prepared,
    ) -> Result<(), PublishError> {
        producer::hand_over(&self.producer, ticket, record, None, prepared)
    }

    /// Sends a record that is none of the log.
    pub(super) fn send_to(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        value: &[u8],
        ticket: Ticket,
    ) -> Result<(), PublishError> {
        let record = BaseRecord::<str, [u8], usize>::with_opaque_to(topic, ticket as usize)
            .partition(partition)
            .key(key)
            .payload(value);
        self.producer
            .send(record)
            .map_err(|(error, _)| classify::refused(error))
    }

    /// All records have to be settled before.
    pub(super) async fn commit(&self) -> Result<(), PublishError> {
        self.patiently(|producer| commit(producer, SLICE)).await
    }

    pub(super) async fn abort(&self) -> Result<(), PublishError> {
        self.patiently(|producer| producer.abort_transaction(SLICE).map_err(failed))
            .await
    }

    /// The cluster's name for itself, if a broker reports it in time.
    pub(super) fn cluster(&self, patience: Duration) -> Option<String> {
        self.producer.client().fetch_cluster_id(patience)
    }

    /// Asks brokers for a topic, again and again. That makes librdkafka start transactions as soon as it can.
    ///
    /// It looks for the coordinator when it is told to start transactions, when a broker has answered a question about
    /// topics, and 500 ms after it found no broker that is connected. By itself it may connect to none for a whole second: it
    /// connects at its start only if its thread has not noted the coordinator before the first brokers are noted
    /// (`rd_kafka_brokers_add0` in `rdkafka_broker.c`).
    async fn ask_again_and_again(&self, topic: &str) -> Infallible {
        let mut pause = FIRST_PAUSE;
        loop {
            let (producer, topic) = (self.producer.clone(), topic.to_owned());
            let ask = move || producer.client().fetch_metadata(Some(&topic), SLICE).map(drop);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(ask).await {
                tracing::debug!(%error, "a broker does not answer a transactional producer");
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(SLICE);
        }
    }

    /// Makes a call that blocks, again and again as long as it only takes its time.
    async fn patiently(
        &self,
        call: fn(&ThreadedProducer<Reports>) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let producer = self.producer.clone();
            let called = tokio::task::spawn_blocking(move || call(&producer)).await;
            match called.unwrap_or_else(|error| Err(closed().with_source(error))) {
                Err(error) if error.kind() == TOOK_ITS_TIME && Instant::now() < until => {}
                done => return done,
            }
        }
    }
}

impl NotFenced {
    /// With the missing right, if it is one, and with what another client of this configuration hears.
    pub(super) async fn explained(self, client: &Clients) -> PublishError {
        let Self { error, id } = self;
        let why = match error.kind() {
            // Somebody else has become it.
            PublishErrorKind::Fatal => String::new(),
            _ => complaints::ask_again(client).await,
        };
        let right = code(&error).map(|code| Right::TransactionalId(&id).lacking(code));
        let right = right.unwrap_or_default();
        let text = format!("the transactional Kafka producer could not become this log's{right}{why}");
        PublishError::new(error.kind(), text).with_source(error)
    }
}

/// Nothing of it condemns a record: whatever happened, the next look at the cursors shows what was delivered.
fn failed(error: KafkaError) -> PublishError {
    let kind = match &error {
        KafkaError::Transaction(error) if error.is_fatal() => PublishErrorKind::Fatal,
        KafkaError::Transaction(error) if took_its_time(error.code(), error.is_retriable()) => TOOK_ITS_TIME,
        _ => PublishErrorKind::Unavailable,
    };
    PublishError::new(kind, "a Kafka transaction failed").with_source(error)
}

/// Kafka's own code of a transaction's error.
fn code(error: &PublishError) -> Option<Code> {
    match error.source()?.downcast_ref::<KafkaError>()? {
        KafkaError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    }
}

pub(super) fn closed() -> PublishError {
    PublishError::new(
        PublishErrorKind::Fatal,
        "the transactional Kafka producer is closed",
    )
}
