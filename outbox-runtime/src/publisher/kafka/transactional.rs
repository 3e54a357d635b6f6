//! Exactly-once delivery to Kafka: one transactional producer for all topics of a log.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use uuid::Uuid;

use super::commit::{TOOK_ITS_TIME, commit, took_its_time};
use super::names::TopicNames;
use super::producer::{self, Reports};
use super::route::LARGEST_BATCH;
use super::topics::Topics;
use super::{classify, closing, complaints, cursor, cursor_topic, properties, record};
use crate::librdkafka::{Clients, Connected, Right};
use crate::publisher::{
    BrokerCursor, Prepared, PublishError, PublishErrorKind, SettlementQueue, Ticket, Transactions,
    Uncommitted,
};
use crate::record::{OutboxRecord, WireOptions};

/// How long the broker may take to become this producer's, to commit and to abort.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a call blocks its thread. It goes on where it was when it is made again, and a stop waits no longer than so.
const SLICE: Duration = Duration::from_secs(1);

/// The ticket of the cursor's own record.
const CURSOR: Ticket = Ticket::MAX;

/// Where a log's cursor is kept, and under which name it is written.
#[derive(Clone)]
pub(super) struct Cursors {
    pub(super) topic: String,
    pub(super) transactional_id_prefix: String,
}

impl Cursors {
    fn transactional_id(&self, log_id: Uuid) -> String {
        format!("{}{log_id}", self.transactional_id_prefix)
    }
}

/// Sends the records of one log to Kafka in transactions.
pub(super) struct KafkaTransactions {
    client: Clients,
    names: TopicNames,
    topics: Topics,
    cursors: Cursors,
    compresses: bool,
    /// At or below the limit of each topic that is known, so that a record which is too large takes no neighbour along.
    batch_size: usize,
    open: Option<Open>,
}

struct Open {
    producer: Connected<ThreadedProducer<Reports>>,
    settlements: SettlementQueue,
    batch_size: usize,
    /// The cursor's key.
    log_id: String,
}

impl KafkaTransactions {
    pub(super) fn new(
        client: Clients,
        names: TopicNames,
        topics: Topics,
        cursors: Cursors,
        compresses: bool,
    ) -> Self {
        Self {
            client,
            names,
            topics,
            cursors,
            compresses,
            batch_size: LARGEST_BATCH,
            open: None,
        }
    }

    async fn become_the_one(&mut self, log_id: Uuid) -> Result<Open, PublishError> {
        let settlements = SettlementQueue::new();
        let mut config = self.client.clone();
        let id = self.cursors.transactional_id(log_id);
        properties::guard_transactions(&mut config, self.batch_size, id.clone());
        let producer: Connected<ThreadedProducer<Reports>> = config
            .create_recording(Reports::new(settlements.clone(), &self.client))
            .map_err(|error| {
                let what = "the transactional Kafka producer could not be started";
                PublishError::new(PublishErrorKind::Unavailable, what).with_source(error)
            })?;
        until_a_broker_answers(&producer).await;
        let initiated = patiently(&producer, |producer| {
            producer.init_transactions(SLICE).map_err(failed)
        })
        .await;
        let opened = Open {
            producer,
            settlements,
            batch_size: self.batch_size,
            log_id: log_id.to_string(),
        };
        match initiated {
            Ok(()) => Ok(opened),
            Err(error) => {
                opened.close().await;
                let why = match error.kind() {
                    // Somebody else has become it.
                    PublishErrorKind::Fatal => String::new(),
                    _ => complaints::ask_again(&self.client).await,
                };
                let right = code(&error).map(|code| Right::TransactionalId(&id).lacking(code));
                let right = right.unwrap_or_default();
                let text =
                    format!("the transactional Kafka producer could not become this log's{right}{why}");
                Err(PublishError::new(error.kind(), text).with_source(error))
            }
        }
    }

    async fn reopen(&mut self, log_id: Uuid, create: bool) -> Result<Option<BrokerCursor>, PublishError> {
        self.let_go().await;
        let opened = self.become_the_one(log_id).await?;
        let key = opened.log_id.clone();
        self.open = Some(opened);
        if !cursor_topic::ensure(&self.client, &self.cursors.topic, create).await? {
            return Ok(None);
        }
        cursor::read(&self.client, &self.cursors.topic, key).await
    }

    async fn let_go(&mut self) {
        if let Some(open) = self.open.take() {
            open.close().await;
        }
    }

    async fn look_up(&mut self, topic: &str) -> Result<Prepared, PublishError> {
        let topic = self.names.of(topic);
        record::check_topic(topic)?;
        let route = self.topics.look_up(topic).await?;
        self.batch_size = self.batch_size.min(route.batch_size);
        self.topics.remember(topic, route);
        let smaller = self
            .open
            .as_ref()
            .is_some_and(|open| open.batch_size > self.batch_size);
        Ok(match smaller {
            true => Prepared::OpenAgain,
            false => Prepared::Ready,
        })
    }

    async fn finish(&mut self, cursor: &BrokerCursor) -> Result<(), Uncommitted> {
        let open = self.open.as_ref().ok_or_else(|| Uncommitted::Broken(closed()))?;
        open.send_cursor(&self.cursors.topic, cursor)
            .map_err(Uncommitted::Broken)?;
        open.settlements.drained().await;
        let mut settled = Vec::new();
        open.settlements.next(&mut settled).await;
        settled.retain(|settlement| settlement.result.is_err());
        if !settled.is_empty() {
            return Err(Uncommitted::Records(settled));
        }
        patiently(&open.producer, |producer| commit(producer, SLICE))
            .await
            .map_err(Uncommitted::Broken)
    }

    async fn take_back(&mut self) -> Result<(), PublishError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        patiently(&open.producer, |producer| {
            producer.abort_transaction(SLICE).map_err(failed)
        })
        .await?;
        // What was not sent is settled by that.
        open.settlements.drained().await;
        let _ = open.settlements.next(&mut Vec::new()).now_or_never();
        Ok(())
    }
}

impl Drop for KafkaTransactions {
    fn drop(&mut self) {
        let admin = self.topics.forget();
        closing::drop_in_time((self.open.take(), admin));
    }
}

impl Open {
    fn send_cursor(&self, topic: &str, cursor: &BrokerCursor) -> Result<(), PublishError> {
        let value = serde_json::to_vec(cursor).map_err(|error| {
            let what = "the cursor cannot be written as JSON";
            PublishError::new(PublishErrorKind::Fatal, what).with_source(error)
        })?;
        let record = BaseRecord::<str, [u8], usize>::with_opaque_to(topic, CURSOR as usize)
            .partition(cursor::PARTITION)
            .key(self.log_id.as_str())
            .payload(&value);
        self.settlements.handing_over();
        self.producer.send(record).map_err(|(error, _)| {
            self.settlements.refused();
            classify::refused(error)
        })
    }

    /// Dropping a producer may take half a second.
    async fn close(self) {
        let _ = tokio::task::spawn_blocking(move || closing::drop_in_time(self)).await;
    }
}

impl Transactions for KafkaTransactions {
    fn open(
        &mut self,
        log_id: Uuid,
        create: bool,
    ) -> BoxFuture<'_, Result<Option<BrokerCursor>, PublishError>> {
        self.reopen(log_id, create).boxed()
    }

    fn cluster(&self) -> Option<String> {
        let open = self.open.as_ref()?;
        open.producer.client().fetch_cluster_id(Duration::ZERO)
    }

    fn announce(&mut self, topics: &BTreeSet<&str>) {
        for topic in topics {
            self.topics.announce(self.names.of(topic));
        }
    }

    fn prepare<'a>(&'a mut self, topic: &'a str) -> BoxFuture<'a, Result<Prepared, PublishError>> {
        self.look_up(topic).boxed()
    }

    fn begin(&mut self) -> Result<(), PublishError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        open.producer.begin_transaction().map_err(failed)
    }

    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        let record = &OutboxRecord {
            topic: self.names.of(record.topic),
            ..*record
        };
        record::check_topic(record.topic)?;
        let Some(route) = self.topics.usable(record.topic) else {
            let what = "the topic's settings are not known";
            return Err(PublishError::new(PublishErrorKind::Unprepared, what));
        };
        let prepared = record::Prepared::new(record, wire)?;
        prepared.check(record, route, self.compresses)?;
        open.settlements.handing_over();
        producer::hand_over(&open.producer, ticket, record, None, prepared)
            .inspect_err(|_| open.settlements.refused())
    }

    fn commit<'a>(&'a mut self, cursor: &'a BrokerCursor) -> BoxFuture<'a, Result<(), Uncommitted>> {
        self.finish(cursor).boxed()
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<(), PublishError>> {
        self.take_back().boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.let_go().boxed()
    }
}

/// Waits until librdkafka knows the brokers, or for [`SLICE`]. It looks for the coordinator when it is asked to start
/// transactions, and again 500 ms later if no broker was connected by then.
async fn until_a_broker_answers(producer: &ThreadedProducer<Reports>) {
    let producer = producer.clone();
    let _ = tokio::task::spawn_blocking(move || producer.client().fetch_cluster_id(SLICE)).await;
}

/// Makes a call that blocks, again and again as long as it only takes its time.
async fn patiently(
    producer: &ThreadedProducer<Reports>,
    call: fn(&ThreadedProducer<Reports>) -> Result<(), PublishError>,
) -> Result<(), PublishError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let producer = producer.clone();
        let called = tokio::task::spawn_blocking(move || call(&producer)).await;
        match called.unwrap_or_else(|error| Err(closed().with_source(error))) {
            Err(error) if error.kind() == TOOK_ITS_TIME && Instant::now() < until => {}
            done => return done,
        }
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

fn closed() -> PublishError {
    PublishError::new(
        PublishErrorKind::Fatal,
        "the transactional Kafka producer is closed",
    )
}
