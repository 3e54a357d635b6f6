//! Topics that are not there yet, and topics that do not take everything: on real Kafka.

use std::time::Duration;

use outbox_runtime::{KafkaPublisher, PostgresStore, Relay, RelayReport};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::servers;
use sqlx::{PgPool, Postgres, QueryBuilder};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Row {
    topic: String,
    key: String,
    bytes: usize,
    age_seconds: i64,
}

/// Inserts rows, and returns their ids.
async fn insert(pool: &PgPool, rows: &[Row]) -> Vec<Uuid> {
    let ids: Vec<Uuid> = rows.iter().map(|_| Uuid::now_v7()).collect();
    let mut insert = QueryBuilder::<Postgres>::new(
        "INSERT INTO outbox_messages (id, aggregate_type, aggregate_id, event_type, topic, payload, occurred_at) ",
    );
    insert.push_values(rows.iter().zip(&ids), |mut values, (row, id)| {
        values
            .push_bind(*id)
            .push("'order'")
            .push_bind(row.key.clone())
            .push("'OrderPlacedV1'");
        values
            .push_bind(row.topic.clone())
            .push_bind(sqlx::types::Json("x".repeat(row.bytes)));
        values
            .push("now() - interval '1 second' * ")
            .push_bind_unseparated(row.age_seconds);
    });
    insert.build().execute(pool).await.unwrap();
    ids
}

fn row(topic: &str, key: usize) -> Row {
    Row {
        topic: topic.to_owned(),
        key: format!("k{key}"),
        bytes: 10,
        age_seconds: 0,
    }
}

async fn relay(pool: &PgPool) -> RelayReport {
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let mut relay = Relay::builder(PostgresStore::new(pool), publisher)
        .build()
        .unwrap();
    tokio::time::timeout(Duration::from_secs(120), relay.drain(CancellationToken::new()))
        .await
        .expect("the relay ends")
        .unwrap()
}

fn ids_of_key(records: &[ReadRecord], key: &str) -> Vec<Uuid> {
    records
        .iter()
        .filter(|record| record.key_text() == Some(key))
        .map(|record| record.event_id().unwrap())
        .collect()
}

async fn dead(pool: &PgPool) -> Vec<(Uuid, String)> {
    sqlx::query_as("SELECT id, reason FROM outbox_dead_letters ORDER BY seq")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Records that a topic cannot take, in the midst of others: those keep their places, and none of them suffers.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_topic_cannot_take_hurts_no_other() {
    let database = TestDatabase::postgres().await;
    let small = Topic::create_at(&servers::brokers(), "small", 3, &[("max.message.bytes", "5000")]).await;
    let usual = Topic::create("usual", 3).await;
    let mut rows: Vec<Row> = (0..4_000)
        .map(|n| row([small.name(), usual.name()][n % 2], n % 10))
        .collect();
    rows[1_000].bytes = 6_000;
    rows[1_001].bytes = 6_000;
    rows[1_500].age_seconds = -7_200;
    rows[2_001].bytes = 1_100_000;
    rows[2_501].topic = "no topic".to_owned();
    let ids = insert(&database.pool, &rows).await;
    let report = relay(&database.pool).await;
    let reasons = [
        (1_000, "too_large"),
        (1_500, "timestamp"),
        (2_001, "too_large"),
        (2_501, "invalid_topic"),
    ];
    let expected: Vec<_> = reasons
        .iter()
        .map(|(row, reason)| (ids[*row], (*reason).to_owned()))
        .collect();
    assert_eq!(dead(&database.pool).await, expected);
    assert_eq!((report.delivered, report.dead_lettered), (3_996, 4));
    for topic in [&small, &usual] {
        let records = topic.read_all().await;
        for key in 0..10 {
            let key = format!("k{key}");
            let sent = rows.iter().zip(&ids).enumerate().filter(|(number, (row, _))| {
                row.topic == topic.name() && row.key == key && !reasons.iter().any(|(dead, _)| dead == number)
            });
            let sent: Vec<Uuid> = sent.map(|(_, (_, id))| *id).collect();
            assert_eq!(ids_of_key(&records, &key), sent, "{key} in {}", topic.name());
        }
    }
}

/// The largest record that the topic takes is sent, and one byte more is not.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_exact() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create_at(&servers::brokers(), "limit", 1, &[("max.message.bytes", "20000")]).await;
    let rows: Vec<Row> = (19_500..20_000)
        .map(|bytes| Row {
            bytes,
            ..row(topic.name(), 1)
        })
        .collect();
    let ids = insert(&database.pool, &rows).await;
    let report = relay(&database.pool).await;
    let delivered = ids_of_key(&topic.read_all().await, "k1");
    let too_large: Vec<Uuid> = dead(&database.pool).await.into_iter().map(|(id, _)| id).collect();
    assert!(!delivered.is_empty() && !too_large.is_empty(), "{report:?}");
    assert_eq!(
        [delivered.clone(), too_large.clone()].concat(),
        ids,
        "the limit is not a line"
    );
    let refused: Vec<String> = sqlx::query_scalar("SELECT DISTINCT left(error, 16) FROM outbox_dead_letters")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(
        refused,
        ["the record takes"],
        "the broker had to refuse a record that could have been measured"
    );
    // One byte below the first that was refused, the broker had agreed: nothing was refused too early.
    let smallest: String = sqlx::query_scalar("SELECT error FROM outbox_dead_letters ORDER BY seq LIMIT 1")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(
        smallest.contains("takes 20001 bytes") && smallest.contains("at most 20000"),
        "{smallest}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_without_a_topic_that_is_not_there_and_the_next_one_delivers() {
    let database = TestDatabase::postgres().await;
    let there = Topic::create("there", 3).await;
    let late = Topic::named(
        &servers::brokers(),
        &format!("late-{}", Uuid::new_v4().simple()),
        3,
    );
    let rows: Vec<Row> = (0..200)
        .map(|n| row([there.name(), late.name()][n % 2], n % 5))
        .collect();
    let ids = insert(&database.pool, &rows).await;
    let report = relay(&database.pool).await;
    assert_eq!((report.delivered, report.parked), (100, 100));
    late.create_again(&[]).await;
    let report = relay(&database.pool).await;
    assert_eq!((report.delivered, report.dead_lettered), (100, 0));
    for (topic, parity) in [(&there, 0), (&late, 1)] {
        let records = topic.read_all().await;
        assert_eq!(records.len(), 100);
        for key in 0..5 {
            let sent = (0..200)
                .filter(|n| n % 2 == parity && n % 5 == key)
                .map(|n| ids[n]);
            assert_eq!(ids_of_key(&records, &format!("k{key}")), sent.collect::<Vec<_>>());
        }
    }
}
