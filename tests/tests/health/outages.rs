//! Servers that are away: what a service's probes answer, and what a relay's log says.

use std::time::Duration;

use outbox_runtime::health::{self, HealthConfig, HealthStatus, Reason};
use outbox_runtime::{Outbox, RelayProgress};
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{self, KafkaServer, PostgresServer};
use outbox_tests::wait_until;
use sqlx::Postgres;

use crate::scene::{LIMIT, commit, names, relay, strict, until, usual};

/// A service with probes, and a relay beside it.
struct Scene {
    postgres: PostgresServer,
    kafka: KafkaServer,
    outbox: Outbox<Postgres>,
    topic: Topic,
    probes: String,
}

impl Scene {
    async fn new() -> Self {
        let (postgres, kafka, pool) = servers::pair().await;
        let outbox = Outbox::new(pool);
        let config = strict()
            .timeout(Duration::from_secs(5))
            .nothing_acknowledged_for(Duration::MAX);
        let routes = axum::Router::new().merge(health::router(outbox.clone(), config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probes = format!("http://{}/health", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let settings = [("max.message.bytes", "5000")];
        Self {
            topic: Topic::create_at(&kafka.brokers(), "health", 1, &settings).await,
            postgres,
            kafka,
            outbox,
            probes,
        }
    }

    /// A relay whose log has all that it can say, and whose database has a password.
    fn relay(&self) -> Running {
        let url = self
            .postgres
            .url()
            .replace("postgres@", "postgres:password-marker@");
        let line = format!(
            "relay --log-format json --lease-ttl 1500ms -D {url} --brokers {}",
            self.kafka.brokers()
        );
        let mut command = command(&line);
        command.env("RUST_LOG", "trace,sqlx=debug");
        Running::start(command)
    }

    async fn commit(&self, bytes: usize) {
        commit(self.outbox.pool(), self.topic.name(), bytes).await;
    }

    async fn probe(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("{}/{path}", self.probes)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until the probe answers so, for this reason.
    async fn until_ready_is(&self, code: u16, reason: &str) {
        let what = format!("{code} for {reason:?}");
        wait_until(&what, LIMIT, async || {
            let (found, body) = self.probe("ready").await;
            (found == code && body.contains(reason)).then_some(())
        })
        .await;
        assert_eq!(self.probe("live").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_kafka_degrades_and_one_of_the_database_is_unhealthy() {
    let mut scene = Scene::new().await;
    let mut log = scene.relay();
    scene.commit(1).await;
    scene.commit(20_000).await;
    log.says("dead_letter").await;
    let dead_is_known = usual().dead_letters(1);
    until(&scene.outbox, &strict().dead_letters(1), &[]).await;

    scene.kafka.stop().await;
    scene.commit(1).await;
    // The service goes on, and says what is wrong.
    scene.until_ready_is(200, "\"oldest_message\"").await;
    let health = scene.outbox.health_with(&strict().dead_letters(1)).await;
    assert_eq!(
        names(&health),
        ["backlog", "oldest_message", "nothing_acknowledged"]
    );
    assert_eq!(health.status, HealthStatus::Degraded);
    log.says("\"outage_began\"").await;
    scene.kafka.restart().await;
    log.says("\"outage_ended\"").await;
    until(&scene.outbox, &strict().dead_letters(1), &[]).await;

    scene.postgres.freeze();
    let impatient = HealthConfig::new().timeout(Duration::from_millis(500));
    let hanging = tokio::time::timeout(LIMIT, scene.outbox.health_with(&impatient)).await;
    let hanging = hanging.expect("the answer comes though the database hangs");
    assert!(
        matches!(&hanging.reasons[..], [Reason::DatabaseUnreachable { error, .. }] if error == "no answer within 500ms"),
        "{hanging:?}"
    );
    scene.postgres.thaw();
    until(&scene.outbox, &dead_is_known, &[]).await;

    scene.postgres.stop().await;
    scene.until_ready_is(503, "\"database_unreachable\"").await;
    let url = scene.postgres.url();
    let command = Ran::of(&mut command(&format!("health -D {url}"))).await;
    command.fails(4, &["cannot be reached"]);
    log.says("\"outage_began\"").await;
    scene.postgres.restart().await;
    log.says("\"outage_ended\"").await;
    scene.until_ready_is(200, "").await;
    scene.commit(1).await;
    until(&scene.outbox, &dead_is_known, &[]).await;
    check(&log.stop().await.stderr);
}

/// Each line is an object with the promised fields, and nothing of a message or a login is in any.
fn check(log: &str) {
    for marker in ["payload-marker", "key-marker", "password-marker"] {
        let line = log.lines().find(|line| line.contains(marker));
        assert_eq!(line, None, "{marker} is in the log");
    }
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
    }
    let events = lines.iter().filter(|line| line["event"].is_string());
    let events: Vec<_> = events
        .map(|line| (line["event"].as_str().unwrap(), line["server"].as_str()))
        .collect();
    let outages: Vec<_> = events
        .iter()
        .filter(|(event, _)| event.starts_with("outage"))
        .copied()
        .collect();
    let kafka = [("outage_began", Some("kafka")), ("outage_ended", Some("kafka"))];
    assert_eq!(&outages[..2], kafka, "{outages:?}");
    assert_eq!(
        outages.last(),
        Some(&("outage_ended", Some("database"))),
        "{outages:?}"
    );
    for event in ["relay_started", "active", "dead_letter"] {
        assert!(
            events.iter().any(|(name, _)| *name == event),
            "no {event} in {events:?}"
        );
    }
    let ended = lines.iter().find(|line| line["event"] == "outage_ended").unwrap();
    assert!(
        ended["seconds"].is_number() && ended["waiting"].is_number(),
        "{ended}"
    );
}

/// The relay of the process itself reports sooner and more than its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_of_the_process_says_what_fails() {
    let database = outbox_tests::TestDatabase::postgres().await;
    let outbox = Outbox::new(database.pool.clone());
    let relay = relay(&database.pool, "127.0.0.1:1").spawn();
    let config = |progress: &RelayProgress| usual().relay_failing_for(Duration::ZERO).relay(progress);
    commit(&database.pool, "orders", 1).await;
    let failing = until(&outbox, &config(relay.progress()), &["relay_failing"]).await;
    assert_eq!(failing.status, HealthStatus::Degraded);
    let view = failing.relay.unwrap();
    assert!(view.retrying.is_some() && view.error.is_some(), "{view:?}");
    relay.stop().await.unwrap();
}
