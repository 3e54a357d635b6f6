//! What emit takes, the store keeps and Kafka gets, byte for byte; what cannot be is refused with a word. And what
//! raw SQL writes that emit would refuse ends in the dead letters, with the others going on.

use std::collections::HashMap;

use chrono::{DateTime, Timelike, Utc};
use outbox_runtime::store::Store;
use outbox_runtime::{
    DeliveryMode, KafkaPublisher, Outbox, OutboxDatabase, OutboxMessage, Payload, PostgresStore, Relay,
    SqliteStore,
};
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::{TestDatabase, servers};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::log::quick;

/// How many messages are drawn for one log.
const MESSAGES: usize = 400;

/// A message of values that are good, at an edge, or bad.
#[derive(Debug, Clone)]
struct Drawn {
    key: String,
    event_type: String,
    payload: Payload,
    content_type: String,
    source: Option<String>,
    headers: Vec<(String, String)>,
    at: DateTime<Utc>,
}

impl Drawn {
    fn message(self, topic: &str) -> OutboxMessage {
        let mut message = OutboxMessage::builder(topic, self.key)
            .event_type(self.event_type)
            .aggregate_type("thing")
            .payload(self.payload)
            .content_type(self.content_type)
            .occurred_at(self.at);
        if let Some(source) = self.source {
            message = message.source(source);
        }
        for (name, value) in self.headers {
            message = message.header(name, value);
        }
        message.build()
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-z]{1,8}", 3 => "\\PC{0,12}", 1 => any::<String>()]
}

/// Of a length that may be near a record's largest.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![9 => text(), 1 => (0..70_000_usize).prop_map(|length| "k".repeat(length))]
}

fn payload() -> impl Strategy<Value = Payload> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i128>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        Just("1e400".to_owned()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""\u0000""#.to_owned()),
    ];
    let json = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[ {} ]", all.join(","))),
            prop::collection::vec(("[a-c]", inner), 0..4).prop_map(|all| {
                let all: Vec<_> = all
                    .iter()
                    .map(|(name, value)| format!("\"{name}\" :{value}"))
                    .collect();
                format!("{{{}}}", all.join(" ,"))
            }),
        ]
    });
    prop_oneof![
        10 => json.prop_map(Payload::Json),
        1 => (0..3_000_usize).prop_map(|deep| Payload::Json("[".repeat(deep) + "1" + &"]".repeat(deep))),
        1 => (990_000..1_000_010_usize).prop_map(|length| Payload::Json(format!("\"{}\"", "x".repeat(length - 2)))),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Payload::Binary),
        1 => Just(Payload::Tombstone),
    ]
}

fn content_type() -> impl Strategy<Value = String> {
    let some = |text: &'static str| Just(text.to_owned());
    prop_oneof![
        10 => some("application/json"),
        1 => text(),
        1 => some("application/cloudevents+json"),
        1 => some("Application/CLOUDEVENTS-batch+json; charset=utf-8"),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![12 => text(), 1 => Just("ce_id".to_owned()), 1 => Just("Content-Type".to_owned())];
    prop::collection::vec((name, text()), 0..3)
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    let micros = prop_oneof![
        10 => 1_500_000_000_000_000..1_700_000_000_000_000_i64,
        1 => -2_000..4_000_i64,
        1 => -70_000_000_000_000_000..260_000_000_000_000_000_i64,
    ];
    (micros, 0..12_u8).prop_map(|(micros, leap)| {
        let time = DateTime::from_timestamp_micros(micros).unwrap();
        let leap = (leap == 0).then(|| time.with_second(59)?.with_nanosecond(1_250_000_000));
        leap.flatten().unwrap_or(time)
    })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let source = prop::option::of(text());
    (
        key(),
        text(),
        payload(),
        content_type(),
        source,
        headers(),
        time(),
    )
        .prop_map(
            |(key, event_type, payload, content_type, source, headers, at)| Drawn {
                key,
                event_type,
                payload,
                content_type,
                source,
                headers,
                at,
            },
        )
}

/// Commits what emit takes, each in a transaction of its own.
async fn emit_all<DB: OutboxDatabase>(outbox: &Outbox<DB>, topic: &str) -> HashMap<Uuid, OutboxMessage> {
    let mut runner = TestRunner::deterministic();
    let (mut taken, mut refused) = (HashMap::new(), 0);
    for _ in 0..MESSAGES {
        let message = drawn().new_tree(&mut runner).unwrap().current().message(topic);
        let emitted: Result<Result<Uuid, String>, outbox_runtime::Error> = outbox
            .transaction(async |tx| {
                Ok(tx
                    .emit_message(message.clone())
                    .map_err(|error| error.to_string()))
            })
            .await;
        match emitted.unwrap_or_else(|error| panic!("{error:?} of {message:.300?}")) {
            Ok(id) => drop(taken.insert(id, message)),
            Err(says) => {
                assert!(says.starts_with("the event `") && says.len() > 25, "{says}");
                refused += 1;
            }
        }
    }
    assert!(
        taken.len() > MESSAGES / 5 && refused > MESSAGES / 5,
        "{} and {refused}",
        taken.len()
    );
    taken
}

async fn relay<S: Store>(store: S, delivery: DeliveryMode) {
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let config = quick()
        .delivery(delivery)
        // Whatever emit takes fits with it too.
        .time_and_subject(true);
    let relay = Relay::builder(store, publisher).config(config).build();
    relay.unwrap().drain(CancellationToken::new()).await.unwrap();
}

fn compare(taken: &HashMap<Uuid, OutboxMessage>, records: &[ReadRecord]) {
    for record in records {
        let message = &taken[&record.event_id().unwrap()];
        let value = match message.payload() {
            Payload::Json(text) => Some(text.as_bytes()),
            Payload::Binary(bytes) => Some(bytes.as_slice()),
            _ => None,
        };
        assert!(record.value.as_deref() == value, "{message:.300?}");
        assert_eq!(record.key_text(), Some(message.key()));
        let timestamp = message.occurred_at().timestamp_millis();
        assert_eq!(record.timestamp_ms, Some(timestamp), "{message:.300?}");
        let mut expected = vec![
            ("ce_type", message.event_type()),
            ("content-type", message.content_type()),
        ];
        expected.extend(
            message
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        for (name, value) in expected {
            assert_eq!(record.header(name), Some(value), "{name} of {message:.300?}");
        }
    }
    assert_eq!(records.len(), taken.len());
}

/// Why records were dead-lettered, one reason of them; empty if none was.
async fn dead_letters<DB>(pool: &sqlx::Pool<DB>) -> String
where
    DB: OutboxDatabase,
    for<'c> &'c sqlx::Pool<DB>: sqlx::Executor<'c, Database = DB>,
    (String,): for<'r> sqlx::FromRow<'r, DB::Row>,
    String: sqlx::Type<DB> + for<'r> sqlx::Decode<'r, DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'q> <DB as sqlx::Database>::Arguments: sqlx::IntoArguments<DB>,
{
    sqlx::query_scalar("SELECT coalesce(max(reason || ': ' || error), '') FROM outbox_dead_letters")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Kafka's default refuses what is dated more than an hour ahead, which is the topic's affair and not emit's.
async fn topic_of_all_times() -> Topic {
    let topic = Topic::create("emitted", 2).await;
    topic
        .set(&[("message.timestamp.after.max.ms", "9223372036854775807")])
        .await;
    topic
}

#[tokio::test(flavor = "multi_thread")]
async fn what_emit_takes_arrives_from_postgres() {
    for delivery in [DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce] {
        let (database, topic) = (TestDatabase::postgres().await, topic_of_all_times().await);
        let taken = emit_all(&Outbox::new(database.pool.clone()), topic.name()).await;
        relay(PostgresStore::new(&database.pool), delivery).await;
        assert_eq!(dead_letters(&database.pool).await, "");
        compare(&taken, &topic.read_committed().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_emit_takes_arrives_from_sqlite() {
    let (database, topic) = (TestDatabase::sqlite().await, topic_of_all_times().await);
    let taken = emit_all(&Outbox::new(database.pool.clone()), topic.name()).await;
    relay(SqliteStore::new(&database.pool), DeliveryMode::AtLeastOnce).await;
    assert_eq!(dead_letters(&database.pool).await, "");
    compare(&taken, &topic.read_all().await);
}

/// Rows of raw SQL: what is changed in a good one, and the reason of its dead letter.
const BAD_ROWS: [(&str, &str, &str); 8] = [
    ("occurred_at", "'1970-01-01T00:00:00Z'", "timestamp"),
    ("occurred_at", "'1969-12-31T23:59:59.500Z'", "timestamp"),
    ("occurred_at", "'0004-01-01T00:00:00Z'", "timestamp"),
    (
        "content_type",
        "'application/cloudevents+json'",
        "invalid_content_type",
    ),
    (
        "content_type",
        "' Application/CloudEvents-Batch+json; charset=utf-8'",
        "invalid_content_type",
    ),
    ("topic", "'no such name'", "invalid_topic"),
    ("topic", "'ä'", "invalid_topic"),
    ("aggregate_id", "LARGE", "too_large"),
];

fn statements(topic: &str, large: &str) -> Vec<String> {
    let row = |key: usize, column: &str, value: &str| {
        let values = [
            ("aggregate_type", "'order'".to_owned()),
            ("aggregate_id", format!("'k{key}'")),
            ("event_type", "'PlacedV1'".to_owned()),
            ("topic", format!("'{topic}'")),
            ("payload", "'1'".to_owned()),
        ];
        let mut values: HashMap<&str, String> = HashMap::from(values);
        values.insert(column, value.replace("LARGE", large));
        let (columns, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        format!(
            "INSERT INTO outbox_messages ({}) VALUES ({})",
            columns.join(", "),
            values.join(", ")
        )
    };
    let mut all = Vec::new();
    for (number, (column, value, _)) in BAD_ROWS.into_iter().enumerate() {
        all.push(row(2 * number, column, value));
        all.push(row(2 * number + 1, "event_type", "'GoodV1'"));
    }
    let repeated = r#"'{"ce_id": "x", "CE_Type": "x", "content-type": "x", "ce_tenant": "acme"}'"#;
    all.push(row(100, "headers", repeated));
    all
}

fn explain_duplicates(records: &[ReadRecord], mut reasons: Vec<String>) {
    let mut expected: Vec<_> = BAD_ROWS.iter().map(|(_, _, reason)| reason.to_string()).collect();
    reasons.sort();
    expected.sort();
    assert_eq!(reasons, expected);
    let good = records
        .iter()
        .filter(|record| record.header("ce_type") == Some("GoodV1"));
    assert_eq!(good.count(), BAD_ROWS.len());
    let [repeated] = records
        .iter()
        .filter(|record| record.key_text() == Some("k100"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("not there once")
    };
    let names: Vec<_> = repeated.headers.iter().map(|(name, _)| name.as_str()).collect();
    let once = [
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "content-type",
        "ce_time",
        "ce_subject",
        "ce_tenant",
    ];
    assert_eq!(names, once);
    assert_eq!(repeated.header("content-type"), Some("application/json"));
    assert!(repeated.event_id().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_can_be_no_records_stop_nobody_from_postgres() {
    for delivery in [DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce] {
        let (database, topic) = (TestDatabase::postgres().await, Topic::create("raw", 1).await);
        let large = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 40000) n)";
        let mut rows = statements(topic.name(), large);
        for never in ["infinity", "-infinity", "200000-01-01"] {
            rows.push(rows[0].replace("1970-01-01T00:00:00Z", never));
        }
        for row in rows {
            sqlx::query(sqlx::AssertSqlSafe(row))
                .execute(&database.pool)
                .await
                .unwrap();
        }
        relay(PostgresStore::new(&database.pool), delivery).await;
        let reasons = sqlx::query_scalar("SELECT reason FROM outbox_dead_letters")
            .fetch_all(&database.pool)
            .await;
        let mut reasons: Vec<String> = reasons.unwrap();
        // Those that only PostgreSQL can have.
        for _ in 0..3 {
            let more = reasons.iter().position(|reason| reason == "timestamp").unwrap();
            reasons.remove(more);
        }
        explain_duplicates(&topic.read_committed().await, reasons);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_can_be_no_records_stop_nobody_from_sqlite() {
    let (database, topic) = (TestDatabase::sqlite().await, Topic::create("raw", 1).await);
    for row in statements(topic.name(), "hex(randomblob(600000))") {
        sqlx::query(sqlx::AssertSqlSafe(row))
            .execute(&database.pool)
            .await
            .unwrap();
    }
    relay(SqliteStore::new(&database.pool), DeliveryMode::AtLeastOnce).await;
    let reasons = sqlx::query_scalar("SELECT reason FROM outbox_dead_letters")
        .fetch_all(&database.pool)
        .await;
    explain_duplicates(&topic.read_all().await, reasons.unwrap());
}
