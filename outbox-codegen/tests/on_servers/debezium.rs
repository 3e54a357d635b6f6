//! `outbox generate debezium`, tried by a real Kafka Connect that takes over from a relay, and gives back.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use outbox_runtime::{Outbox, OutboxMessage, Payload};
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::servers::{ConnectOffsets, KafkaConnect, PostgresServer, PostgresVersion, brokers};
use outbox_tests::wait_until;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::Place;

/// How long Kafka Connect may take to write what is waiting.
const PATIENCE: Duration = Duration::from_secs(90);

/// Headers that come from a row's columns.
const COMPARED: [&str; 4] = ["ce_id", "ce_source", "ce_type", "content-type"];

/// An outbox in a server whose log can be decoded.
struct Log {
    place: Place,
    server: PostgresServer,
    pool: PgPool,
    topic: Topic,
    offsets: ConnectOffsets,
    /// Every event's id and the key that it has, in the order of their commits.
    written: Vec<(Uuid, String)>,
}

impl Log {
    async fn new() -> Self {
        let server =
            PostgresServer::start_with(PostgresVersion::Distribution, &[("wal_level", "logical")]).await;
        let place = Place::new();
        place.run(&format!("migrate -D {}", server.url())).done();
        place.run("generate debezium").done();
        Self {
            pool: PgPool::connect(&server.url()).await.unwrap(),
            topic: Topic::create("debezium", 3).await,
            offsets: ConnectOffsets::default(),
            written: Vec::new(),
            place,
            server,
        }
    }

    /// One event of each kind, by SQL and by the library.
    async fn write(&mut self, round: &str) {
        let sql = [
            ("'{\"b\":  1, \"a\": [true, null]}', NULL", "key-1"),
            ("'17', NULL", "key-2"),
            ("NULL, NULL", "key-1"),
            ("NULL, '\\x00ff10'", "key-3"),
            ("NULL, ''", "key-4"),
            ("to_json('räksmörgås \"quoted\"'::text), NULL", "nyckel-å"),
        ];
        for (payload, key) in sql {
            let insert = format!(
                "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload, payload_binary)
                 VALUES ('order', $1, 'From{round}V1', $2, {payload}) RETURNING id"
            );
            let insert = sqlx::query_scalar(AssertSqlSafe(insert))
                .bind(key)
                .bind(self.topic.name());
            self.written
                .push((insert.fetch_one(&self.pool).await.unwrap(), key.to_owned()));
        }
        let binary = Payload::Binary(vec![1, 2, 3, 255]);
        for (payload, content_type) in [
            (
                Payload::json(&BTreeMap::from([("total", 5)])).unwrap(),
                "application/json",
            ),
            (binary, "application/x-protobuf"),
        ] {
            let message = OutboxMessage::builder(self.topic.name(), "key-5")
                .event_type("OrderPlacedV2")
                .aggregate_type("order")
                .payload(payload)
                .content_type(content_type)
                .source("/shop")
                .correlation_id("correlation")
                .header("x-tenant", "north")
                .build();
            let outbox = Outbox::new(self.pool.clone());
            let mut tx = self.pool.begin().await.unwrap();
            let enqueued = outbox.enqueue_message(&mut tx, message).await.unwrap();
            self.written.push((enqueued.ids()[0], "key-5".to_owned()));
            tx.commit().await.unwrap();
            enqueued.wake();
        }
    }

    /// Delivers all that this relay has not.
    fn relay(&self) {
        let relay = format!(
            "relay --until-empty -D {} --brokers {}",
            self.server.url(),
            brokers()
        );
        let ran = self.place.run(&relay);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    fn set_up(&self) {
        let psql = Command::new("psql")
            .args([
                "--no-psqlrc",
                "--quiet",
                "-v",
                "ON_ERROR_STOP=1",
                &self.server.url(),
                "-f",
            ])
            .arg(self.place.path().join("debezium/setup.sql"))
            .output()
            .expect("psql is installed (Debian: postgresql-client)");
        assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    }

    async fn connect(&self) -> KafkaConnect {
        let (brokers, port) = (brokers(), self.server.port().to_string());
        let environment = [
            ("KAFKA_BROKERS", brokers.as_str()),
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGDATABASE", "postgres"),
            ("PGUSER", "postgres"),
            ("PGPASSWORD", "trusted"),
        ];
        let directory = self.place.path().join("debezium");
        KafkaConnect::start(&directory, &["json", "binary"], &environment, &self.offsets).await
    }

    /// Waits until every event is in the topic, and returns what is there of each, in the order of `written`.
    async fn delivered(&self) -> Vec<Vec<ReadRecord>> {
        wait_until("every event to be in the topic", PATIENCE, async || {
            let mut records = by_id(self.topic.read_all().await);
            let all = self.written.iter().map(|(id, _)| records.remove(id));
            all.collect::<Option<Vec<_>>>()
        })
        .await
    }
}

fn by_id(records: Vec<ReadRecord>) -> BTreeMap<Uuid, Vec<ReadRecord>> {
    let mut by_id: BTreeMap<Uuid, Vec<ReadRecord>> = BTreeMap::new();
    for record in records {
        by_id.entry(record.event_id().unwrap()).or_default().push(record);
    }
    by_id
}

#[tokio::test]
async fn kafka_connect_takes_over_from_the_relay_and_gives_back_without_loss() {
    let mut log = Log::new().await;
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
}

/// Compares what the relay sent with what Kafka Connect sent for the same row, in whichever order.
fn same(first: &ReadRecord, second: &ReadRecord) {
    let (connected, relayed) = match first.header("outbox-headers") {
        Some(_) => (first, second),
        None => (second, first),
    };
    assert_eq!(relayed.value, connected.value, "{relayed:?}");
    assert_eq!(
        (&relayed.key, relayed.partition),
        (&connected.key, connected.partition)
    );
    let headers = |record: &ReadRecord| -> Vec<(String, Option<String>)> {
        COMPARED
            .iter()
            // A row without a source: the relay has one for it.
            .filter(|name| **name != "ce_source" || connected.header("ce_source").is_some())
            .map(|name| ((*name).to_owned(), record.header(name).map(str::to_owned)))
            .collect()
    };
    assert_eq!(headers(relayed), headers(connected));

    // And what differs, as docs/debezium.md tells it.
    let names = |record: &ReadRecord| -> Vec<String> {
        record.headers.iter().map(|(name, _)| name.clone()).collect()
    };
    let fixed = [
        "ce_id",
        "ce_source",
        "ce_type",
        "content-type",
        "ce_time",
        "outbox-headers",
    ];
    assert_eq!(names(connected), fixed);
    assert!(connected.header("ce_time").unwrap().ends_with('Z'));
    let own: serde_json::Value = serde_json::from_str(connected.header("outbox-headers").unwrap()).unwrap();
    for (name, value) in own.as_object().unwrap() {
        assert_eq!(relayed.header(name), value.as_str());
    }
}

/// The first occurrences of each key's events are in the order in which they were written. Events of one key are
/// JSON here, or binary: between the two connectors there is no order.
fn in_order(log: &Log, records: &[Vec<ReadRecord>]) {
    for key in log
        .written
        .iter()
        .map(|(_, key)| key)
        .filter(|key| *key != "key-5")
    {
        let first = log.written.iter().zip(records).filter(|((_, of), _)| of == key);
        let offsets: Vec<i64> = first.map(|(_, records)| records[0].offset).collect();
        assert!(offsets.is_sorted(), "{key}: {offsets:?}");
    }
}
