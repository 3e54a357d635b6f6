//! Topics that take no records while others do: on real Kafka, each row of the table in the delivery guarantees.

use std::time::Duration;

use outbox_runtime::{KafkaPublisher, PostgresStore, Relay, RelayConfig, RunningRelay};
use outbox_tests::kafka::{RIGHTS, Topic};
use outbox_tests::servers::{self, KafkaServer};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::{PgPool, Postgres};
use uuid::Uuid;

/// librdkafka says that a deleted topic is gone after half a minute.
const LIMIT: Duration = Duration::from_secs(120);

struct Scene {
    database: TestDatabase<Postgres>,
    brokers: String,
    sick: Topic,
    well: Topic,
    next: i64,
}

impl Scene {
    async fn new() -> Self {
        Self::at(&servers::brokers()).await
    }

    async fn at(brokers: &str) -> Self {
        Self {
            database: TestDatabase::postgres().await,
            brokers: brokers.to_owned(),
            sick: Topic::create_at(brokers, "sick", 3, &[]).await,
            well: Topic::create_at(brokers, "well", 3, &[]).await,
            next: 0,
        }
    }

    fn start(&self) -> RunningRelay {
        let publisher = KafkaPublisher::builder(&self.brokers).build().unwrap();
        let config = RelayConfig::new()
            .suspend_after(Duration::from_secs(1))
            .backoff_max(Duration::from_secs(1));
        let relay = Relay::builder(PostgresStore::new(&self.database.pool), publisher).config(config);
        relay.build().unwrap().spawn()
    }

    /// Commits `count` events of seven keys to each topic.
    async fn commit(&mut self, count: i64) {
        for topic in [&self.sick, &self.well] {
            sqlx::query(
                "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                 SELECT 'order', (n % 7)::text, 'OrderPlacedV1', $1, to_json(n)
                 FROM generate_series($2 + 1, $2 + $3) AS n",
            )
            .bind(topic.name())
            .bind(self.next)
            .bind(count)
            .execute(&self.database.pool)
            .await
            .unwrap();
        }
        self.next += count;
    }

    /// The topic has everything, once and in order.
    async fn has_all(&self, topic: &Topic) {
        wait_until(&format!("{} to have all", topic.name()), LIMIT, async || {
            (topic.end_offset().await >= self.next).then_some(())
        })
        .await;
        let records = topic.read_all().await;
        for key in 0..7 {
            let key = key.to_string();
            let of_key = records.iter().filter(|record| record.key_text() == Some(&key));
            let numbers: Vec<i64> = of_key
                .map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap())
                .collect();
            let all: Vec<i64> = (1..=self.next).filter(|n| (n % 7).to_string() == key).collect();
            assert_eq!(numbers, all, "key {key} of {}", topic.name());
        }
    }

    /// While the topic is in trouble: the other one flows, and the cursor too.
    async fn flows_past(&mut self, relay: &RunningRelay, at_least: i64) {
        for _ in 0..20 {
            self.commit(100).await;
        }
        self.has_all(&self.well).await;
        let started = std::time::Instant::now();
        while parked(&self.database.pool).await < at_least {
            assert!(started.elapsed() < LIMIT, "the records are not parked");
            // Only what goes on shows that it is not the broker.
            self.commit(10).await;
            self.has_all(&self.well).await;
        }
        wait_until("nothing to be on its way", LIMIT, async || {
            let sql = "SELECT high FROM outbox_cursor";
            let high: i64 = sqlx::query_scalar(sql)
                .fetch_one(&self.database.pool)
                .await
                .unwrap();
            (high >= 2 * self.next).then_some(())
        })
        .await;
        assert_eq!(relay.progress().dead_lettered(), 0);
    }

    /// The topic is well again, all its records go out in order, and then it is a topic like any other.
    async fn heals(&mut self, relay: RunningRelay) {
        self.commit(100).await;
        self.has_all(&self.sick).await;
        wait_until("nothing to be parked", LIMIT, async || {
            (parked(&self.database.pool).await == 0).then_some(())
        })
        .await;
        let parked = relay.progress().parked();
        self.commit(100).await;
        self.has_all(&self.sick).await;
        self.has_all(&self.well).await;
        assert_eq!(relay.progress().parked(), parked);
        let report = relay.stop().await.unwrap().unwrap();
        assert_eq!(
            (report.dead_lettered, report.possible_duplicates),
            (0, Default::default())
        );
    }
}

async fn parked(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM outbox_dead_letters WHERE state = 'parked' AND reason = 'topic_unavailable'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_is_suspended_until_it_is_created() {
    let mut scene = Scene::new().await;
    let name = format!("unknown-{}", Uuid::new_v4().simple());
    scene.sick = Topic::named(&scene.brokers, &name, 3);
    let relay = scene.start();
    scene.flows_past(&relay, 2_000).await;
    scene.sick.create_again(&[]).await;
    scene.heals(relay).await;
}

/// Deleted while records are on their way, and made again: what it had taken is gone, the rest comes in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_suspended_until_it_is_created_again() {
    let mut scene = Scene::new().await;
    let relay = scene.start();
    scene.commit(100).await;
    scene.has_all(&scene.sick).await;
    scene.sick.delete().await;
    scene.flows_past(&relay, 1_000).await;
    scene.sick.create_again(&[]).await;
    wait_until("nothing to be parked", LIMIT, async || {
        (parked(&scene.database.pool).await == 0).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    let records = scene.sick.read_all().await;
    for key in 0..7 {
        let key = key.to_string();
        let of_key = records.iter().filter(|record| record.key_text() == Some(&key));
        let numbers: Vec<i64> = of_key
            .map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap())
            .collect();
        // The topic may have taken a few more before it was gone.
        let later = (101..=scene.next).filter(|n| (n % 7).to_string() == key);
        let later: Vec<i64> = later.skip_while(|n| numbers.first() != Some(n)).collect();
        assert!(numbers.len() > 100, "key {key} has {} records", numbers.len());
        assert_eq!(numbers, later, "key {key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_topic_is_suspended_until_it_is_allowed() {
    let kafka = KafkaServer::start_with(&RIGHTS).await;
    let mut scene = Scene::at(&kafka.brokers()).await;
    let relay = scene.start();
    scene.commit(100).await;
    scene.has_all(&scene.sick).await;
    scene.sick.forbid().await;
    scene.flows_past(&relay, 1_000).await;
    scene.sick.allow().await;
    scene.heals(relay).await;
}
