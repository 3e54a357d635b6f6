//! A database and a topic of a test's own.

use std::time::Duration;

use outbox_runtime::consumer::{ConsumerBuilder, ConsumerConfig, RunningConsumer};
use outbox_runtime::{Consumer, Outbox};
use outbox_tests::kafka::Topic;
use outbox_tests::numbers::{self, Number, Producer, act};
use outbox_tests::{TestDatabase, servers, wait_until};
use sqlx::Postgres;

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Scene {
    pub(crate) database: TestDatabase<Postgres>,
    pub(crate) outbox: Outbox<Postgres>,
    pub(crate) topic: Topic,
    pub(crate) group: String,
}

impl Scene {
    pub(crate) async fn new(partitions: i32) -> Self {
        let database = TestDatabase::postgres().await;
        numbers::tables(&database.pool).await;
        let topic = Topic::create("consumer", partitions).await;
        Self {
            outbox: Outbox::new(database.pool.clone()),
            group: format!("group-{}", topic.name()),
            database,
            topic,
        }
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::new(&servers::brokers(), self.topic.name())
    }

    /// A consumer of the topic without a handler, that is quick about failures.
    pub(crate) fn builder(&self) -> ConsumerBuilder<Postgres> {
        Consumer::builder(&self.outbox, servers::brokers(), &self.group)
            .topic(self.topic.name())
            .config(quick())
    }

    /// A consumer that acts on numbers.
    pub(crate) fn counting(&self) -> ConsumerBuilder<Postgres> {
        self.builder()
            .on("NumberV1", async |tx, _message, number: Number| {
                act(tx, &number).await
            })
    }

    pub(crate) async fn acted(&self) -> i64 {
        numbers::acted(&self.database.pool).await
    }

    pub(crate) async fn wait_for_acted(&self, numbers: i64) {
        wait_until("all numbers to be acted on", LIMIT, async || {
            (self.acted().await >= numbers).then_some(())
        })
        .await;
    }

    /// Each number that was produced was acted on once.
    pub(crate) async fn assert_exact(&self, producer: &Producer) {
        let wrong = numbers::compare(&self.database.pool, &producer.produced).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

pub(crate) fn quick() -> ConsumerConfig {
    ConsumerConfig::new()
        .max_attempts(3)
        .backoff_min(Duration::from_millis(10))
        .backoff_max(Duration::from_millis(100))
}

/// Waits until a consumer has come to so many messages, of whatever end.
pub(crate) async fn wait_for(consumer: &RunningConsumer, messages: u64) {
    wait_until("a consumer to come to all messages", LIMIT, async || {
        let report = consumer.progress().report();
        let done = report.processed + report.duplicates + report.unknown + report.dead_lettered;
        (done >= messages).then_some(())
    })
    .await;
}
