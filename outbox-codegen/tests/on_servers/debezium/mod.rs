//! `outbox generate debezium`, tried by a real Kafka Connect that takes over from a relay, and gives back.

mod compare;
mod log;

use outbox_runtime::Tables;
use outbox_tests::servers::PostgresVersion;
use sqlx::AssertSqlSafe;

use compare::{in_order, same};
use log::{Layout, Log};

#[tokio::test]
async fn kafka_connect_takes_over_from_the_relay_and_gives_back_without_loss() {
    let log = there_and_back(Layout {
        version: PostgresVersion::Distribution,
        tables: Tables::default(),
        migrate: "",
        generate: "",
        connectors: &["json", "binary"],
        gap: 0,
    })
    .await;
    assert_eq!(log.partitions().await, 1);
}

/// Some of what Kafka Connect reads is in partitions that were attached while it ran.
#[tokio::test]
async fn messages_in_partitions_go_over_as_those_in_one_table() {
    let log = there_and_back(Layout {
        version: PostgresVersion::V18,
        tables: Tables::default(),
        migrate: "--partitioned=1000",
        generate: "",
        connectors: &["json", "binary"],
        gap: 640,
    })
    .await;
    assert!(log.partitions().await > 20);
}

/// The oldest PostgreSQL, which has no row filters, with partitions and names of one's own.
#[tokio::test]
async fn an_outbox_of_json_alone_goes_over_with_one_connector() {
    let tables = Tables::new(Some("billing"), "events_").unwrap();
    let insert = format!(
        "INSERT INTO {} (aggregate_type, aggregate_id, event_type, topic, payload_binary)
         VALUES ('order', 'key', 'BinaryV1', 'nowhere', 'bytes')",
        tables.messages()
    );
    let log = there_and_back(Layout {
        version: PostgresVersion::V13,
        tables,
        migrate: "--partitioned=1000",
        generate: "--payloads json --name billing",
        connectors: &["json"],
        gap: 1000,
    })
    .await;
    assert!(log.partitions().await > 12);
    let refused = sqlx::query(AssertSqlSafe(insert)).execute(&log.pool).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("events_messages_json_only"), "{error}");
}

/// Moves over to Kafka Connect and back as docs/debezium.md says, and compares all that was sent.
async fn there_and_back(layout: Layout) -> Log {
    let mut log = Log::new(layout).await;
    log.write("Before").await;
    let before = log.written.len();
    log.set_up();
    log.set_up();
    log.write("Between").await;
    log.relay();
    let between = log.written.len();
    log.write("Behind").await;
    let connect = log.connect().await;
    log.delivered().await;
    log.migrate();
    log.write("Running").await;
    log.delivered().await;
    connect.stop().await;
    log.write("Stopped").await;
    let connect = log.connect().await;
    log.delivered().await;
    connect.stop().await;

    // What Kafka Connect read comes twice where the relay had sent it, else once.
    let records = log.delivered().await;
    let counts: Vec<usize> = records.iter().map(Vec::len).collect();
    assert_eq!(counts[..before], vec![1; before], "before the slots");
    assert_eq!(
        counts[before..between],
        vec![2; between - before],
        "between slots and drained"
    );
    assert_eq!(
        counts[between..],
        vec![1; counts.len() - between],
        "after the relay"
    );
    for pair in records.iter().filter(|records| records.len() == 2) {
        same(&pair[0], &pair[1]);
    }

    // And back: the relay goes on where it was, and sends again what Kafka Connect had sent.
    log.migrate();
    log.write("Back").await;
    log.relay();
    let records = log.delivered().await;
    let back = records.len() - (between - before);
    for (index, records) in records.iter().enumerate() {
        let expected = if index < before || index >= back { 1 } else { 2 };
        assert_eq!(records.len(), expected, "event {index}");
        for pair in records.windows(2) {
            same(&pair[0], &pair[1]);
        }
    }
    in_order(&log, &records);
    log
}
