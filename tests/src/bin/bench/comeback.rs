//! A relay comes back after an outage in which others wrote in very many transactions: how long its first record takes,
//! and the whole drain, beside the same rows drained by a relay that has never stopped among them.

use std::time::{Duration, Instant};

use outbox_runtime::{DeliveryMode, KafkaPublisher, PostgresStore, Relay, RelayConfig};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, wait_until};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;

/// Messages of the window in whose middle the relay is stopped.
const BEFORE: u64 = 500_000;

const PARTITIONS: i32 = 6;

/// For some records to arrive, or for the relay to end, on a busy machine.
const LIMIT: Duration = Duration::from_secs(1_800);

pub(crate) async fn run(brokers: &str, transactions: u64) {
    Scene::new(brokers).await.first_transaction().await;
    let scene = Scene::new(brokers).await;
    let late = scene.stop_in_a_window().await;
    let started = Instant::now();
    scene.write(transactions).await;
    for transaction in late {
        transaction.commit().await.expect("late rows are committed");
    }
    println!(
        "{transactions} transactions of one message of 100 bytes each, written in {:.0} s while no relay ran; a window \
         of {BEFORE} messages was left open before them",
        started.elapsed().as_secs_f64()
    );
    // Whoever reads rows first pays for it; here they all find them as VACUUM leaves them.
    scene.execute("VACUUM outbox_messages").await;
    for delivery in [DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce] {
        let back = scene.drain(delivery, FROM_THE_WINDOW).await;
        let from_the_start = scene.drain(delivery, FROM_THE_START).await;
        println!(
            "{delivery:?}: where it stopped, {back}; from the log's beginning, {from_the_start} (ratio {:.2})",
            back.rate() / from_the_start.rate()
        );
    }
}

/// As the stopped relay left it.
const FROM_THE_WINDOW: &str =
    "UPDATE outbox_cursor SET (from_snapshot, high, xid_bound, to_snapshot, high_to, position, generation) =
     (SELECT from_snapshot, high, xid_bound, to_snapshot, high_to, position, NULL::bigint FROM stopped)";

const FROM_THE_START: &str =
    "UPDATE outbox_cursor SET from_snapshot = NULL, high = 0, xid_bound = NULL, to_snapshot = NULL,
     high_to = NULL, position = NULL, generation = NULL";

struct Scene {
    database: TestDatabase<Postgres>,
    topic: Topic,
    brokers: String,
}

impl Scene {
    async fn new(brokers: &str) -> Self {
        Self {
            database: TestDatabase::postgres_with(4).await,
            topic: Topic::create_at(brokers, "comeback", PARTITIONS, &[]).await,
            brokers: brokers.to_owned(),
        }
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// With the first of them, Kafka creates its own topic for transactions, and the relay the one for cursors. Before an
    /// outage, both were there.
    async fn first_transaction(&self) {
        self.insert(self.pool(), 1).await;
        let mut relay = self.relay(DeliveryMode::ExactlyOnce);
        relay
            .drain(CancellationToken::new())
            .await
            .expect("the relay ends well");
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql)
            .execute(self.pool())
            .await
            .expect("the setting is accepted");
    }

    /// A relay is stopped with half of a window delivered. Two transactions that wrote before it was opened are returned;
    /// the first one is in the snapshot's list of those that run, and the second one is above it.
    async fn stop_in_a_window(&self) -> [Transaction<'static, Postgres>; 2] {
        self.insert(self.pool(), BEFORE).await;
        let mut listed = self.pool().begin().await.expect("a transaction begins");
        self.insert(&mut *listed, 1).await;
        self.insert(self.pool(), 1).await;
        let mut unlisted = self.pool().begin().await.expect("a transaction begins");
        self.insert(&mut *unlisted, 1).await;
        let relay = self.relay(DeliveryMode::AtLeastOnce).spawn();
        wait_until("some records to arrive", LIMIT, async || {
            (self.topic.end_offset().await > 50_000).then_some(())
        })
        .await;
        relay.stop().await.expect("the relay ends well");
        self.execute("CREATE TABLE stopped AS SELECT * FROM outbox_cursor WHERE to_snapshot IS NOT NULL")
            .await;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM stopped")
            .fetch_one(self.pool())
            .await
            .expect("the cursor can be read");
        assert_eq!(left, 1, "no window was left open");
        [listed, unlisted]
    }

    async fn insert<'a>(&self, to: impl sqlx::PgExecutor<'a>, messages: u64) {
        let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                      SELECT 'order', 'customer-' || i % 1000, 'OrderPlacedV1', $1, to_json(repeat('x', 98))
                      FROM generate_series(1, $2::bigint) i";
        sqlx::query(insert)
            .bind(self.topic.name())
            .bind(messages as i64)
            .execute(to)
            .await
            .expect("messages are written");
    }

    /// Two sessions, each transaction with one message.
    async fn write(&self, transactions: u64) {
        let half = |transactions: u64| async move {
            let write = format!(
                "SET synchronous_commit = off;
                 DO $$ BEGIN FOR i IN 1..{transactions} LOOP
                   INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                   VALUES ('order', 'customer-' || i % 1000, 'OrderPlacedV1', '{}', to_json(repeat('x', 98)));
                   COMMIT;
                 END LOOP; END $$",
                self.topic.name()
            );
            let mut connection = self
                .pool()
                .acquire()
                .await
                .expect("there is a connection")
                .detach();
            for statement in write.split_inclusive("off;") {
                sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
                    .execute(&mut connection)
                    .await
                    .expect("transactions are written");
            }
        };
        tokio::join!(half(transactions / 2), half(transactions - transactions / 2));
    }

    fn relay(&self, delivery: DeliveryMode) -> Relay<PostgresStore, KafkaPublisher> {
        let publisher = KafkaPublisher::builder(&self.brokers).build();
        let config = RelayConfig::new().delivery(delivery);
        let store = PostgresStore::new(self.pool());
        let relay = Relay::builder(store, publisher.expect("the properties are right")).config(config);
        relay.build().expect("the configuration is right")
    }

    /// Starts a relay at this cursor, and waits until it has delivered all.
    async fn drain(&self, delivery: DeliveryMode, cursor: &'static str) -> Drained {
        self.topic.delete().await;
        wait_until("the topic to be gone", LIMIT, async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            (!self.topic.exists().await).then_some(())
        })
        .await;
        self.topic.create_again(&[]).await;
        self.execute(cursor).await;
        let (ready, begun) = std::sync::mpsc::channel();
        let (brokers, topic) = (self.brokers.clone(), self.topic.name().to_owned());
        let first = tokio::task::spawn_blocking(move || first_record(&brokers, &topic, &ready));
        tokio::task::spawn_blocking(move || begun.recv())
            .await
            .expect("no panic")
            .expect("the consumer is there");
        let mut relay = self.relay(delivery);
        let started = Instant::now();
        let report = relay
            .drain(CancellationToken::new())
            .await
            .expect("the relay ends well");
        let took = started.elapsed();
        let first = first.await.expect("a record comes");
        Drained {
            first: first.saturating_duration_since(started),
            delivered: report.delivered,
            took,
        }
    }
}

/// Waits for the first record that a consumer of committed records sees. Says when it is ready for it.
fn first_record(brokers: &str, topic: &str, ready: &std::sync::mpsc::Sender<()>) -> Instant {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "comeback")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer = config.create().expect("a consumer can be made");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("the beginning is an offset");
    }
    consumer.assign(&assignment).expect("partitions can be assigned");
    let mut ends = 0;
    loop {
        match consumer.poll(Duration::from_millis(5)) {
            Some(Ok(_)) => return Instant::now(),
            // It has looked into each partition and found nothing.
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => {
                ends += 1;
                if ends == PARTITIONS {
                    ready.send(()).expect("somebody waits for it");
                }
            }
            Some(Err(_)) | None => {}
        }
    }
}

struct Drained {
    first: Duration,
    delivered: u64,
    took: Duration,
}

impl Drained {
    fn rate(&self) -> f64 {
        self.delivered as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Drained {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "the first record after {:.2} s, all {} after {:.0} s, {:.0}/s",
            self.first.as_secs_f64(),
            self.delivered,
            self.took.as_secs_f64(),
            self.rate()
        )
    }
}
