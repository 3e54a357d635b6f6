//! The usual way: a poller locks rows that are not marked, sends them and marks them, and a job deletes marked rows.

use std::time::Duration;

use futures_util::future::try_join_all;
use outbox_tests::servers;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::PgPool;
use tokio::time::sleep;

use super::sample::Samples;
use super::{EVENTS, KEEP, Subject, observe, payload, write};

pub(super) const TABLE: &str = "marked_messages";

const CREATE: &str = "
    CREATE TABLE marked_messages (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL,
        payload text NOT NULL,
        sent_at timestamptz
    );
    CREATE INDEX marked_messages_waiting ON marked_messages (id) WHERE sent_at IS NULL";
const INSERT: &str =
    "INSERT INTO marked_messages (key, payload) SELECT * FROM unnest($1::text[], $2::text[])";
const SELECT: &str = "
    SELECT id, key, payload FROM marked_messages WHERE sent_at IS NULL ORDER BY id LIMIT 1000
    FOR UPDATE SKIP LOCKED";
const MARK: &str = "UPDATE marked_messages SET sent_at = now() WHERE id = ANY($1)";
const DELETE: &str = "
    DELETE FROM marked_messages WHERE id IN
        (SELECT id FROM marked_messages WHERE sent_at < now() - $1 * interval '1 second' ORDER BY id LIMIT 1000)";

pub(super) async fn create(subject: &Subject) {
    let created = sqlx::raw_sql(CREATE).execute(&subject.database.pool).await;
    created.expect("the table can be created");
}

pub(super) async fn stream(subject: &Subject, duration: Duration) -> Samples {
    let pool = &subject.database.pool;
    let mut number = 0;
    let writing = write(duration, async || {
        let keys: Vec<_> = (number..number + EVENTS)
            .map(|number| format!("customer-{}", number % 1000))
            .collect();
        let payloads: Vec<_> = keys.iter().map(|_| payload()).collect();
        let insert = sqlx::query(INSERT).bind(keys).bind(payloads).execute(pool).await;
        insert.expect("the database takes it");
        number += EVENTS;
    });
    tokio::select! {
        samples = observe(subject, duration, writing) => samples,
        () = send(pool, subject.topic.name()) => unreachable!("it goes on"),
        () = delete(pool) => unreachable!("it goes on"),
    }
}

async fn send(pool: &PgPool, topic: &str) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers::brokers())
        .set("enable.idempotence", "true")
        .set("linger.ms", "2");
    let producer: FutureProducer = config.create().expect("the properties are right");
    loop {
        if send_waiting(pool, &producer, topic)
            .await
            .expect("both servers answer")
            == 0
        {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Returns how many rows were sent.
async fn send_waiting(
    pool: &PgPool,
    producer: &FutureProducer,
    topic: &str,
) -> Result<usize, Box<dyn std::error::Error>> {
    let mut tx = pool.begin().await?;
    let rows: Vec<(i64, String, String)> = sqlx::query_as(SELECT).fetch_all(&mut *tx).await?;
    let sent = rows.iter().map(async |(_, key, payload)| {
        let record = FutureRecord::to(topic).key(key).payload(payload);
        producer.send(record, Duration::from_secs(60)).await
    });
    try_join_all(sent).await.map_err(|(error, _)| error)?;
    let ids: Vec<i64> = rows.iter().map(|(id, _, _)| *id).collect();
    sqlx::query(MARK).bind(ids).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(rows.len())
}

async fn delete(pool: &PgPool) {
    loop {
        let deleted = sqlx::query(DELETE).bind(KEEP.as_secs_f64()).execute(pool).await;
        if deleted.expect("the database answers").rows_affected() == 0 {
            sleep(Duration::from_secs(1)).await;
        }
    }
}
