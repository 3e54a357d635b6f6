//! What the tests share: messages, thresholds that are passed at once, and names of reasons.

use std::time::Duration;

use outbox_runtime::health::{Health, HealthConfig, HealthDatabase};
use outbox_runtime::{KafkaPublisher, Outbox, PostgresStore, Relay, RelayConfig};
use outbox_tests::wait_until;
use sqlx::PgPool;

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Every threshold is passed as soon as there is anything to measure.
pub(crate) fn strict() -> HealthConfig {
    HealthConfig::new()
        .timeout(Duration::from_secs(30))
        .backlog(0)
        .oldest_age(Duration::ZERO)
        .no_relay_for(Duration::ZERO)
        .nothing_acknowledged_for(Duration::ZERO)
        .writer_age(Duration::ZERO)
}

/// The thresholds of everybody, and time for a busy machine.
pub(crate) fn usual() -> HealthConfig {
    HealthConfig::new().timeout(Duration::from_secs(30))
}

/// Commits a message.
pub(crate) async fn commit(pool: &PgPool, topic: &str, bytes: usize) {
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  VALUES ('order', 'key-marker', 'OrderPlacedV1', $1, to_json($2::text))";
    let payload = "payload-marker ".repeat(bytes / 15 + 1);
    sqlx::query(insert)
        .bind(topic)
        .bind(payload)
        .execute(pool)
        .await
        .unwrap();
}

/// The names of the reasons, in their order.
pub(crate) fn names(health: &Health) -> Vec<String> {
    let json = serde_json::to_value(health).unwrap();
    let reasons = json["reasons"].as_array().unwrap();
    let names = reasons.iter().map(|reason| reason["reason"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// Waits until these are the reasons, and no others.
pub(crate) async fn until<DB: HealthDatabase>(
    outbox: &Outbox<DB>,
    config: &HealthConfig,
    reasons: &[&str],
) -> Health {
    let what = format!("the reasons {reasons:?}");
    wait_until(&what, LIMIT, async || {
        let health = outbox.health_with(config).await;
        (names(&health) == reasons).then_some(health)
    })
    .await
}

/// A relay that suspends a topic after a second.
pub(crate) fn relay(pool: &PgPool, brokers: &str) -> Relay<PostgresStore, KafkaPublisher> {
    let config = RelayConfig::new()
        .suspend_after(Duration::from_secs(1))
        .backoff_max(Duration::from_secs(1))
        .lease_ttl(Duration::from_millis(1500));
    let publisher = KafkaPublisher::builder(brokers).build().unwrap();
    let relay = Relay::builder(PostgresStore::new(pool), publisher).config(config);
    relay.build().unwrap()
}
