//! A log, its topics and what the exporter says of it.

use std::time::Duration;

use outbox_runtime::modes::{Mode, Modes};
use outbox_runtime::store::{Store as _, StoreError};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{
    DeliveryMode, KafkaPublisher, LogSampler, Outbox, OutboxMessage, Payload, PostgresStore, Relay,
    RelayConfig, RunningRelay, RunningSampler, Tables, migrate,
};
use outbox_tests::{TestDatabase, servers, wait_until};
use sqlx::Postgres;
use tokio_util::sync::CancellationToken;

use crate::exposition::{Exposition, exporter};

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A tenth of a second, so that tests need not wait.
pub(crate) const OFTEN: Duration = Duration::from_millis(100);

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) struct Scene {
    pub(crate) database: TestDatabase<Postgres>,
    pub(crate) tables: Tables,
    pub(crate) outbox: Outbox<Postgres>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::of(TestDatabase::postgres().await)
    }

    pub(crate) fn of(database: TestDatabase<Postgres>) -> Self {
        exporter();
        Self {
            outbox: Outbox::new(database.pool.clone()),
            tables: Tables::default(),
            database,
        }
    }

    /// Another log in the same database.
    pub(crate) async fn beside(&self, prefix: &str) -> (Outbox<Postgres>, PostgresStore) {
        let tables = Tables::new(None, prefix).unwrap();
        migrate(&self.database.pool, &tables).await.unwrap();
        let outbox = Outbox::builder(self.database.pool.clone()).tables(tables.clone());
        let store = PostgresStore::new(&self.database.pool).tables(&tables);
        (outbox.build(), store)
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::new(&self.database.pool).tables(&self.tables)
    }

    /// What metrics call the log.
    pub(crate) fn log(&self) -> String {
        self.store().log_name()
    }

    pub(crate) fn relay(&self, brokers: &str, config: RelayConfig) -> Relay<PostgresStore, KafkaPublisher> {
        let publisher = KafkaPublisher::builder(brokers).property("statistics.interval.ms", "100");
        let relay = Relay::builder(self.store(), publisher.build().unwrap()).config(config);
        relay.build().unwrap()
    }

    pub(crate) fn start(&self, brokers: &str) -> RunningRelay {
        self.relay(brokers, quick(DeliveryMode::AtLeastOnce)).spawn()
    }

    /// Delivers all there is.
    pub(crate) async fn drain(&self, delivery: DeliveryMode) {
        self.relay(&servers::brokers(), quick(delivery))
            .drain(CancellationToken::new())
            .await
            .unwrap();
    }

    pub(crate) fn sampler(&self) -> RunningSampler {
        LogSampler::new(self.store()).interval(OFTEN).spawn()
    }

    /// Commits one message of each of these topics.
    pub(crate) async fn commit(&self, topics: &[&str]) {
        emit(&self.outbox, topics, "{}").await;
    }

    /// The sum over all series of this name of the log that have these labels; 0 if there are none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.known(name, labels).unwrap_or(0.0)
    }

    /// As [`value`](Self::value); none if there are none, or this process does not know.
    pub(crate) fn known(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let log = self.log();
        let mut labels = labels.to_vec();
        labels.push(("log", &log));
        Exposition::here().value(name, &labels)
    }

    pub(crate) async fn until(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        wait_until(&format!("{name}{labels:?} to be {wanted}"), LIMIT, async || {
            (self.known(name, labels) == Some(wanted)).then_some(())
        })
        .await;
    }
}

/// Commits a message that goes past the log, to a broker in memory.
pub(crate) async fn emit_directly(scene: &Scene, topic: &str) {
    let modes = Modes::new(MemoryBroker::new().publisher()).default_mode(Mode::Direct);
    let direct = Outbox::builder(scene.database.pool.clone()).modes(modes).build();
    emit(&direct, &[topic], "1").await;
}

/// Commits one message of each of these topics, in one transaction.
pub(crate) async fn emit(outbox: &Outbox<Postgres>, topics: &[&str], payload: &str) {
    let emitted: Result<(), Failure> = outbox
        .transaction(async |tx| {
            for topic in topics {
                tx.emit_message(message(topic, "k", payload))?;
            }
            Ok(())
        })
        .await;
    emitted.unwrap();
}

pub(crate) fn message(topic: &str, key: &str, payload: &str) -> OutboxMessage {
    let message = OutboxMessage::builder(topic, key)
        .aggregate_type("order")
        .event_type("OrderPlacedV1")
        .payload(Payload::Json(payload.to_owned()));
    message.build()
}

pub(crate) fn quick(delivery: DeliveryMode) -> RelayConfig {
    RelayConfig::new()
        .delivery(delivery)
        .lease_ttl(Duration::from_millis(1_500))
        .suspend_after(OFTEN)
        .backoff_min(Duration::from_millis(10))
        .backoff_max(OFTEN)
}

/// As the store says it, without metrics.
pub(crate) async fn backlog(store: &PostgresStore) -> Result<u64, StoreError> {
    Ok(store.status().await?.backlog.messages)
}
