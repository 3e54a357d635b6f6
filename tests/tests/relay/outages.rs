//! What is waited for, however long it takes: on real servers, each row of the contract's table that no other test has.
//!
//! Nothing goes to the dead letters meanwhile; the relay is unhealthy after a while, which is not the same as stopped; and it
//! goes on by itself when the cause is gone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use outbox_runtime::relay::RelayHealth;
use outbox_runtime::{DeliveryMode, KafkaPublisher, PostgresStore, Relay, RelayConfig, RunningRelay};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{self, KafkaCluster, KafkaServer};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool, Postgres};

const LIMIT: Duration = Duration::from_secs(120);

async fn commit(pool: &PgPool, topic: &Topic, count: i64) {
    sqlx::query(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n % 7)::text, 'OrderPlacedV1', $1, to_json(n) FROM generate_series(1, $2) AS n",
    )
    .bind(topic.name())
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
}

fn config() -> RelayConfig {
    RelayConfig::new().backoff_max(Duration::from_secs(1))
}

fn relay(store: PostgresStore, publisher: KafkaPublisher) -> RunningRelay {
    let relay = Relay::builder(store, publisher).config(config());
    relay.build().unwrap().spawn()
}

/// Waits until the relay says that it is not well and names this cause, and returns what it says. It may have named
/// another before: a broker that is just gone may also be the one that was asked for a topic's settings.
async fn until_unhealthy(relay: &RunningRelay, cause: &str) -> String {
    let started = Instant::now();
    loop {
        match relay.health() {
            RelayHealth::Unhealthy { because, .. } if because.contains(cause) => return because,
            RelayHealth::Stopped => panic!("it stopped"),
            health if started.elapsed() > LIMIT => panic!("not unhealthy because of `{cause}`: {health:?}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn until_cured(relay: RunningRelay, pool: &PgPool, topic: &Topic, count: i64) {
    wait_until("everything to arrive", LIMIT, async || {
        (topic.end_offset().await >= count).then_some(())
    })
    .await;
    wait_until("the relay to be well", LIMIT, async || {
        (relay.health() == RelayHealth::Active).then_some(())
    })
    .await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!(
        (report.delivered, report.dead_lettered, report.parked),
        (count as u64, 0, 0)
    );
    assert_eq!(relay.health(), RelayHealth::Stopped);
    let dead_letters: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_dead_letters")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(dead_letters, 0);
    assert_eq!(topic.read_all().await.len() as i64, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_replicas_in_sync_are_waited_for() {
    let database = TestDatabase::<Postgres>::postgres().await;
    let folder = std::env::temp_dir();
    let (mut kafka, _) = KafkaCluster::start([&folder; KafkaCluster::SIZE].map(PathBuf::as_path), &[]).await;
    let topic = Topic::named(&kafka.addresses(), "replicas", 3).replicated(3);
    topic.create_again(&[("min.insync.replicas", "3")]).await;
    kafka.brokers[2].kill();
    commit(&database.pool, &topic, 100).await;
    let publisher = KafkaPublisher::builder(kafka.addresses()).build().unwrap();
    let relay = relay(PostgresStore::new(&database.pool), publisher);
    until_unhealthy(&relay, "acknowledgement").await;
    assert_eq!(relay.progress().delivered(), 0);
    kafka.restart_missing().await;
    until_cured(relay, &database.pool, &topic, 100).await;
}

/// In both modes, whose first question to the broker is not the same. What is wrong is said in the broker's words.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_refuses_the_password_is_asked_again() {
    tokio::join!(
        refused_password(DeliveryMode::AtLeastOnce),
        refused_password(DeliveryMode::ExactlyOnce)
    );
}

async fn refused_password(delivery: DeliveryMode) {
    let database = TestDatabase::<Postgres>::postgres().await;
    let (mut kafka, asking) = KafkaServer::start_with_users(&[("relay", "right")]).await;
    let topic = Topic::create_at(&kafka.brokers(), "passwords", 3, &[]).await;
    commit(&database.pool, &topic, 100).await;
    let publisher = KafkaPublisher::builder(asking)
        .property("security.protocol", "sasl_plaintext")
        .property("sasl.mechanism", "PLAIN")
        .property("sasl.username", "relay")
        .property("sasl.password", "changed")
        .build()
        .unwrap();
    let config = config().delivery(delivery);
    let relay = Relay::builder(PostgresStore::new(&database.pool), publisher).config(config);
    let relay = relay.build().unwrap().spawn();
    let because = until_unhealthy(&relay, "Invalid username or password").await;
    assert!(!because.contains("changed"), "{because}");
    assert_eq!(topic.end_offset().await, 0);
    kafka.set_users(&[("relay", "changed")]);
    kafka.restart().await;
    until_cured(relay, &database.pool, &topic, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_the_login_later_is_asked_again() {
    let database = TestDatabase::<Postgres>::postgres().await;
    let topic = Topic::create("logins", 3).await;
    let role = format!("relay_{}", uuid::Uuid::new_v4().simple());
    let run = async |sql: String| {
        let query = sqlx::query(AssertSqlSafe(sql));
        query.execute(&database.pool).await.unwrap();
    };
    run(format!("CREATE ROLE {role} SUPERUSER LOGIN")).await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let store = PostgresStore::with_options(options.username(&role));
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let relay = relay(store, publisher);
    commit(&database.pool, &topic, 50).await;
    wait_until("the first events to arrive", LIMIT, async || {
        (topic.end_offset().await >= 50).then_some(())
    })
    .await;
    run(format!("ALTER ROLE {role} NOLOGIN")).await;
    run(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
    ))
    .await;
    commit(&database.pool, &topic, 50).await;
    until_unhealthy(&relay, "does not let this role in").await;
    run(format!("ALTER ROLE {role} LOGIN")).await;
    until_cured(relay, &database.pool, &topic, 100).await;
    run(format!("DROP ROLE {role}")).await;
}
