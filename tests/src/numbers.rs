//! Numbered messages of many keys, and a database that refuses one that is acted on twice or out of order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outbox_runtime::OutboxTx;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use serde::{Deserialize, Serialize};
use sqlx::{Executor, PgPool, Postgres};
use uuid::Uuid;

/// The value of a message: the `number`th of its key, from 1 on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Number {
    /// The key, which is also the record's.
    pub key: String,
    /// Its place among the messages of the key.
    pub number: i64,
}

/// A message was acted on out of its order.
#[derive(Debug, thiserror::Error)]
pub enum OutOfOrder {
    /// It is not the one that its key waits for.
    #[error("number {number} of key {key} is not the next one")]
    NotNext {
        /// The key.
        key: String,
        /// The number that came.
        number: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes the tables that [`act`] writes to.
pub async fn tables(pool: &PgPool) {
    let sql = "CREATE TABLE IF NOT EXISTS last_numbers (key text PRIMARY KEY, number bigint NOT NULL);
               CREATE TABLE IF NOT EXISTS acted (key text, number bigint, PRIMARY KEY (key, number))";
    pool.execute(sqlx::raw_sql(sql))
        .await
        .expect("the tables can be made");
}

/// Acts on a number: only if it is the next one of its key, and never twice.
pub async fn act(tx: &mut OutboxTx<'_, Postgres>, number: &Number) -> Result<(), OutOfOrder> {
    let next = sqlx::query(
        "INSERT INTO last_numbers AS last (key, number) SELECT $1, $2 WHERE $2 = 1 OR EXISTS \
         (SELECT FROM last_numbers WHERE key = $1) \
         ON CONFLICT (key) DO UPDATE SET number = excluded.number WHERE last.number = excluded.number - 1",
    )
    .bind(&number.key)
    .bind(number.number)
    .execute(&mut **tx)
    .await?;
    if next.rows_affected() != 1 {
        return Err(OutOfOrder::NotNext {
            key: number.key.clone(),
            number: number.number,
        });
    }
    sqlx::query("INSERT INTO acted (key, number) VALUES ($1, $2)")
        .bind(&number.key)
        .bind(number.number)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// How many numbers were acted on.
pub async fn acted(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM acted")
        .fetch_one(pool)
        .await
        .expect("the table can be read")
}

/// Compares what was produced, so many numbers of each key, with what was acted on. Says what is wrong.
pub async fn compare(pool: &PgPool, produced: &BTreeMap<String, i64>) -> Vec<String> {
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT key, count(*), max(number) FROM acted GROUP BY key ORDER BY key")
            .fetch_all(pool)
            .await
            .expect("the table can be read");
    let acted: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(key, count, last)| (key, (count, last)))
        .collect();
    let mut wrong = Vec::new();
    for (key, number) in produced {
        match acted.get(key) {
            Some((count, last)) if count == number && last == number => {}
            other => wrong.push(format!("{key}: produced {number}, acted on {other:?}")),
        }
    }
    let invented = acted.keys().filter(|key| !produced.contains_key(*key));
    wrong.extend(invented.map(|key| format!("{key}: never produced")));
    wrong
}

/// Writes numbers to a topic, some of them twice with the same id.
pub struct Producer {
    producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    topic: String,
    /// How many numbers of each key there are.
    pub produced: BTreeMap<String, i64>,
    sent: u64,
    records: AtomicU64,
}

impl Producer {
    /// A producer to this topic.
    pub fn new(brokers: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random");
        Self {
            producer: config.create().expect("a producer can be made"),
            topic: topic.to_owned(),
            produced: BTreeMap::new(),
            sent: 0,
            records: AtomicU64::new(0),
        }
    }

    /// Sends so many numbers to so many keys in turn; each `twice`th message is sent a second time at once, and
    /// each `twice`th again behind the next one of its key. 0 is never.
    pub fn send(&mut self, messages: u64, keys: u64, twice: u64) {
        let mut late: BTreeMap<String, (Uuid, Vec<u8>)> = BTreeMap::new();
        for count in 0..messages {
            let key = format!("k{}", self.sent % keys);
            self.sent += 1;
            let number = self.produced.entry(key.clone()).or_default();
            *number += 1;
            let number = Number {
                key: key.clone(),
                number: *number,
            };
            let (id, value) = (Uuid::now_v7(), serde_json::to_vec(&number).expect("it is JSON"));
            self.record(&key, id, "NumberV1", &value);
            if let Some((id, value)) = late.remove(&key) {
                self.record(&key, id, "NumberV1", &value);
            }
            if twice > 0 && count % twice == 0 {
                self.record(&key, id, "NumberV1", &value);
            } else if twice > 0 && count % twice == 1 {
                late.insert(key, (id, value));
            }
        }
        self.flush();
    }

    /// How many records were sent, duplicates and all.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Sends one record of any kind.
    pub fn record(&self, key: &str, id: Uuid, event_type: &str, value: &[u8]) {
        self.records.fetch_add(1, Ordering::Relaxed);
        let id = id.to_string();
        let header = |key, value| Header {
            key,
            value: Some(value),
        };
        let headers = OwnedHeaders::new()
            .insert(header("ce_id", id.as_str()))
            .insert(header("ce_type", event_type));
        let mut record = BaseRecord::to(&self.topic)
            .key(key)
            .payload(value)
            .headers(headers);
        while let Err((error, refused)) = self.producer.send(record) {
            assert_eq!(
                error.rdkafka_error_code(),
                Some(rdkafka::types::RDKafkaErrorCode::QueueFull),
                "{error}"
            );
            self.flush();
            record = refused;
        }
    }

    /// Waits until all is in the log.
    pub fn flush(&self) {
        self.producer
            .flush(Duration::from_secs(60))
            .expect("the broker takes what is sent");
    }
}
