//! A log that a relay and Kafka Connect read.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use outbox_runtime::{Outbox, OutboxMessage, Payload, Tables};
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::servers::{ConnectOffsets, KafkaConnect, PostgresServer, PostgresVersion, brokers};
use outbox_tests::wait_until;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::Place;

/// How long Kafka Connect may take to write what is waiting.
const PATIENCE: Duration = Duration::from_secs(90);

/// How an outbox is laid out, and what is generated for it.
pub(super) struct Layout {
    pub(super) version: PostgresVersion,
    pub(super) tables: Tables,
    /// Options of `outbox migrate` besides the tables' names.
    pub(super) migrate: &'static str,
    /// Options of `outbox generate debezium` besides the tables' names.
    pub(super) generate: &'static str,
    pub(super) connectors: &'static [&'static str],
    /// How many numbers are left out before each event, as transactions that roll back leave them out: with 1,000
    /// rows in a partition, few events have to go far.
    pub(super) gap: i64,
}

/// An outbox in a server whose log can be decoded.
pub(super) struct Log {
    layout: Layout,
    place: Place,
    server: PostgresServer,
    pub(super) pool: PgPool,
    topic: Topic,
    offsets: ConnectOffsets,
    /// Every event's id and the key that it has, in the order of their commits.
    pub(super) written: Vec<(Uuid, String)>,
}

impl Log {
    pub(super) async fn new(layout: Layout) -> Self {
        let server = PostgresServer::start_with(layout.version, &[("wal_level", "logical")]).await;
        let log = Self {
            pool: PgPool::connect(&server.url()).await.unwrap(),
            topic: Topic::create("debezium", 3).await,
            offsets: ConnectOffsets::default(),
            written: Vec::new(),
            place: Place::new(),
            layout,
            server,
        };
        log.migrate();
        let generate = format!("generate debezium {} {}", log.named(), log.layout.generate);
        log.place.run(&generate).done();
        log
    }

    /// Makes the tables, and later what partitions are missing.
    pub(super) fn migrate(&self) {
        let (url, named) = (self.server.url(), self.named());
        let migrate = format!("migrate -D {url} {named} {}", self.layout.migrate);
        self.place.run(&migrate).done();
    }

    /// The tables' names, for the command line.
    fn named(&self) -> String {
        let tables = &self.layout.tables;
        let schema = tables.schema().map(|schema| format!("--schema {schema} "));
        format!("{}--prefix {}", schema.unwrap_or_default(), tables.prefix())
    }

    /// One event of each kind, by SQL and by the library; without binary ones where Kafka Connect is configured for the
    /// case that there are none.
    pub(super) async fn write(&mut self, round: &str) {
        let binary_too = self.layout.connectors.contains(&"binary");
        let sql = [
            ("'{\"b\":  1, \"a\": [true, null]}', NULL", "key-1", false),
            ("'17', NULL", "key-2", false),
            ("NULL, NULL", "key-1", false),
            ("NULL, '\\x00ff10'", "key-3", true),
            ("NULL, ''", "key-4", true),
            ("to_json('räksmörgås \"quoted\"'::text), NULL", "nyckel-å", false),
        ];
        for (payload, key, binary) in sql {
            if binary && !binary_too {
                continue;
            }
            self.leave_out().await;
            let insert = format!(
                "INSERT INTO {messages} (aggregate_type, aggregate_id, event_type, topic, payload, payload_binary)
                 VALUES ('order', $1, 'From{round}V1', $2, {payload}) RETURNING id",
                messages = self.layout.tables.messages()
            );
            let insert = sqlx::query_scalar(AssertSqlSafe(insert))
                .bind(key)
                .bind(self.topic.name());
            self.written
                .push((insert.fetch_one(&self.pool).await.unwrap(), key.to_owned()));
        }
        let json = Payload::json(&BTreeMap::from([("total", 5)])).unwrap();
        self.enqueue(json, "application/json").await;
        if binary_too {
            self.enqueue(Payload::Binary(vec![1, 2, 3, 255]), "application/x-protobuf")
                .await;
        }
    }

    async fn leave_out(&self) {
        let sequence = self.layout.tables.quoted("messages_seq_seq");
        let left_out = format!("SELECT count(nextval('{sequence}')) FROM generate_series(1, $1)");
        let left_out = sqlx::query(AssertSqlSafe(left_out)).bind(self.layout.gap);
        left_out.execute(&self.pool).await.unwrap();
    }

    async fn enqueue(&mut self, payload: Payload, content_type: &str) {
        self.leave_out().await;
        let message = OutboxMessage::builder(self.topic.name(), "key-5")
            .event_type("OrderPlacedV2")
            .aggregate_type("order")
            .payload(payload)
            .content_type(content_type)
            .source("/shop")
            .correlation_id("correlation")
            .header("x-tenant", "north")
            .build();
        let outbox = Outbox::builder(self.pool.clone())
            .tables(self.layout.tables.clone())
            .build();
        let mut tx = self.pool.begin().await.unwrap();
        let enqueued = outbox.enqueue_message(&mut tx, message).await.unwrap();
        self.written.push((enqueued.ids()[0], "key-5".to_owned()));
        tx.commit().await.unwrap();
        enqueued.wake();
    }

    /// Delivers all that this relay has not.
    pub(super) fn relay(&self) {
        let (url, named) = (self.server.url(), self.named());
        let relay = format!("relay --until-empty -D {url} {named} --brokers {}", brokers());
        let ran = self.place.run(&relay);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    pub(super) fn set_up(&self) {
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

    pub(super) async fn connect(&self) -> KafkaConnect {
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
        KafkaConnect::start(&directory, self.layout.connectors, &environment, &self.offsets).await
    }

    /// Waits until every event is in the topic, and returns what is there of each, in the order of `written`.
    pub(super) async fn delivered(&self) -> Vec<Vec<ReadRecord>> {
        wait_until("every event to be in the topic", PATIENCE, async || {
            let mut records = by_id(self.topic.read_all().await);
            let all = self.written.iter().map(|(id, _)| records.remove(id));
            all.collect::<Option<Vec<_>>>()
        })
        .await
    }

    /// In how many partitions there are messages.
    pub(super) async fn partitions(&self) -> i64 {
        let count = format!(
            "SELECT count(DISTINCT tableoid) FROM {}",
            self.layout.tables.messages()
        );
        sqlx::query_scalar(AssertSqlSafe(count))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

fn by_id(records: Vec<ReadRecord>) -> BTreeMap<Uuid, Vec<ReadRecord>> {
    let mut by_id: BTreeMap<Uuid, Vec<ReadRecord>> = BTreeMap::new();
    for record in records {
        by_id.entry(record.event_id().unwrap()).or_default().push(record);
    }
    by_id
}
