//! How much goes into one transaction: pages that are there already go together, up to a bound.

use outbox_runtime::{DeliveryMode, KafkaPublisher, PostgresStore, Relay, RelayConfig};
use outbox_tests::kafka::read_committed;
use serde::Deserialize;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::Scene;

/// What the documents promise of a transaction: records in all, and bytes of their payloads: of the first one, and of one
/// after a quick one.
const RECORDS: usize = 20_000;
const BYTES: usize = 8 << 20;
const BYTES_AFTER_A_QUICK_ONE: usize = 16 << 20;

/// What a page has at most.
const PAGE: usize = 5_000;

#[derive(Deserialize)]
struct Cursor {
    generation: i64,
    position: i64,
}

/// Rows of this many bytes, in one window. Returns how many each transaction delivered.
async fn transactions_of(rows: usize, bytes: usize, config: RelayConfig) -> Vec<usize> {
    let scene = Scene::new(1).await;
    let cursor_topic = format!("once-sizes-{}", Uuid::new_v4().simple());
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n % 50)::text, 'OrderPlacedV1', '{}', to_json(repeat('x', {bytes} - 2))
         FROM generate_series(1, {rows}) AS n",
        scene.topics[0].name(),
    );
    sqlx::query(AssertSqlSafe(insert))
        .execute(scene.pool())
        .await
        .unwrap();
    let publisher = KafkaPublisher::builder(&scene.address.brokers).cursor_topic(&cursor_topic);
    let publisher = publisher.build().unwrap();
    let config = config.delivery(DeliveryMode::ExactlyOnce);
    let relay = Relay::builder(PostgresStore::new(scene.pool()), publisher).config(config);
    relay
        .build()
        .unwrap()
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(scene.seen().await.len(), rows);
    let cursors = read_committed(&scene.address.brokers, &cursor_topic).await;
    let positions = cursors.iter().filter_map(|record| {
        let cursor: Cursor = serde_json::from_slice(record.value.as_deref()?).ok()?;
        (cursor.generation == 2).then_some(cursor.position)
    });
    let mut before = 0;
    let mut delivered = Vec::new();
    for position in positions {
        delivered.push(usize::try_from(position - before).unwrap());
        before = position;
    }
    assert_eq!(delivered.iter().sum::<usize>(), rows, "{delivered:?}");
    delivered
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_together_up_to_what_may_be_in_flight() {
    let delivered = transactions_of(120_000, 20, RelayConfig::default()).await;
    let most = *delivered.iter().max().unwrap();
    assert!(most <= RECORDS, "{delivered:?}");
    assert!(most > PAGE, "none took more than a page: {delivered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_together_up_to_their_bytes() {
    let delivered = transactions_of(30_000, 1_200, RelayConfig::default()).await;
    assert!(delivered[0] * 1_200 <= BYTES, "{delivered:?}");
    let most = *delivered.iter().max().unwrap();
    assert!(most * 1_200 <= BYTES_AFTER_A_QUICK_ONE, "{delivered:?}");
}

/// What may be in flight bounds it also where it is less than what is read ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_bound_holds_as_well() {
    let config = RelayConfig::new().page_rows(2_000).max_in_flight_records(5_000);
    let delivered = transactions_of(60_000, 20, config).await;
    let most = *delivered.iter().max().unwrap();
    assert!(most > 2_000 && most <= 5_000, "{delivered:?}");
}
