//! Rows whose content the database, the dead letters or the relay cannot take: each ends in its own dead letter, and nothing
//! waits behind it.

use std::time::Duration;

use outbox_runtime::store::{DeadLetterFilter, DeadLetters};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay, Tables, migrate};
use outbox_tests::servers::PostgresVersion;
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Postgres};
use tokio_util::sync::CancellationToken;

use crate::log::{LIMIT, Scene, quick};

/// More than an entry of an index may have, and it cannot be compressed.
const LONG_KEY: &str = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 200) AS n)";

async fn run(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

async fn number(pool: &PgPool, of: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT {of}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Messages whose topic, key and event type are SQL expressions over `n`.
async fn insert(pool: &PgPool, topic: &str, key: &str, event_type: &str, count: i64) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', {key}, {event_type}, {topic}, '{{}}' FROM generate_series(1, {count}) AS n"
    );
    run(pool, insert).await;
}

async fn insert_good(pool: &PgPool, count: i64) {
    insert(pool, "'good'", "'key-' || n % 10", "'E'", count).await;
}

fn relay(
    pool: &PgPool,
    broker: &MemoryBroker,
) -> Relay<PostgresStore, outbox_runtime::testkit::MemoryPublisher> {
    let config = quick().suspend_after(Duration::from_millis(100));
    let relay = Relay::builder(PostgresStore::new(pool), broker.publisher()).config(config);
    relay.build().unwrap()
}

async fn until(pool: &PgPool, of: &str, wanted: i64) {
    wait_until(&format!("{of} to be {wanted}"), LIMIT, async || {
        (number(pool, of).await == wanted).then_some(())
    })
    .await;
}

/// Until as many good events were delivered; more of them show that it is not the broker that is away.
async fn until_delivered(pool: &PgPool, broker: &MemoryBroker, of: &str, wanted: i64) {
    wait_until(&format!("{of} to be {wanted}"), LIMIT, async || {
        insert_good(pool, 1).await;
        (number(pool, of).await == wanted).then_some(())
    })
    .await;
    let good = number(pool, "count(*) FROM outbox_messages WHERE topic = 'good'").await;
    wait_until("the good events to be delivered", LIMIT, async || {
        let delivered = broker
            .log()
            .iter()
            .filter(|record| record.topic == "good")
            .count();
        (delivered as i64 >= good).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_key_is_parked_and_delivered_whole() {
    let (database, broker) = (TestDatabase::postgres().await, MemoryBroker::new());
    let pool = &database.pool;
    broker.lose_topic("lost");
    insert_good(pool, 500).await;
    insert(pool, "'lost'", LONG_KEY, "'E'", 3).await;
    insert_good(pool, 500).await;
    let running = relay(pool, &broker).spawn();
    let parked = "count(*) FROM outbox_dead_letters WHERE state = 'parked' AND length(aggregate_id) = 6400";
    until_delivered(pool, &broker, parked, 3).await;

    broker.mend_topic("lost");
    until(pool, "count(*) FROM outbox_dead_letters", 0).await;
    running.stop().await.unwrap();
    let lost: Vec<_> = broker
        .log()
        .into_iter()
        .filter(|record| record.topic == "lost")
        .collect();
    assert_eq!(lost.len(), 3);
    assert!(lost.iter().all(|record| record.key.len() == 6400), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_of_every_column_end_in_dead_letters() {
    let (database, broker) = (TestDatabase::postgres().await, MemoryBroker::new());
    let pool = &database.pool;
    // The broker in memory calls a topic with a space illegal.
    let long_topic = format!("'no topic ' || {LONG_KEY}");
    insert(pool, &long_topic, LONG_KEY, LONG_KEY, 20).await;
    insert_good(pool, 50).await;
    let report = relay(pool, &broker)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((report.delivered, report.dead_lettered), (50, 20));
    let whole = "count(*) FROM outbox_dead_letters d JOIN outbox_messages m USING (id, seq, topic, aggregate_id, event_type)";
    assert_eq!(number(pool, whole).await, 20);
}

/// Somebody's own constraint, and a batch of rows of which one breaks it.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_only_the_row_that_cannot_be_stored_is_dead() {
    let (database, broker) = (TestDatabase::postgres().await, MemoryBroker::new());
    let pool = &database.pool;
    run(
        pool,
        "ALTER TABLE outbox_dead_letters ADD CONSTRAINT short CHECK (length(aggregate_id) < 500)",
    )
    .await;
    broker.lose_topic("lost");
    let key = format!("CASE n WHEN 40 THEN {LONG_KEY} ELSE 'k' END");
    insert(pool, "'lost'", &key, "'E'", 100).await;
    let running = relay(pool, &broker).spawn();
    let parked = "count(*) FROM outbox_dead_letters WHERE state = 'parked'";
    until_delivered(pool, &broker, parked, 99).await;

    let in_order =
        "count(*) FROM (SELECT seq, lag(seq) OVER (ORDER BY position) AS before FROM outbox_dead_letters
                    WHERE state = 'parked') AS parked WHERE before > seq";
    assert_eq!(number(pool, in_order).await, 0);
    let kept = "count(*) FROM outbox_dead_letters d JOIN outbox_messages m USING (id, seq)
                WHERE d.state = 'dead' AND d.reason = 'not_storable' AND d.error LIKE '%short%'
                  AND convert_from(d.payload_binary, 'UTF8')::json ->> 'aggregate_id' = m.aggregate_id";
    assert_eq!(number(pool, kept).await, 1);
    // What is kept as JSON is not the record, so it is never sent.
    let dead_letters = DeadLetters::in_postgres(pool, &Tables::default());
    let asked = dead_letters
        .request_replay(&DeadLetterFilter::default())
        .await
        .unwrap();
    assert_eq!(asked, 0);
    broker.mend_topic("lost");
    until(pool, "count(*) FROM outbox_dead_letters", 1).await;
    running.stop().await.unwrap();
    assert_eq!(
        broker
            .log()
            .iter()
            .filter(|record| record.topic == "lost")
            .count(),
        99
    );
}

/// Nothing keeps the row, so the relay ends and says why: it neither loses it nor waits for what does not change.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_take_nothing_end_the_relay() {
    let (database, broker) = (TestDatabase::postgres().await, MemoryBroker::new());
    let pool = &database.pool;
    run(
        pool,
        "ALTER TABLE outbox_dead_letters ADD CONSTRAINT nothing CHECK (seq < 0)",
    )
    .await;
    insert(pool, "'no topic'", "'k'", "'E'", 1).await;
    let error = format!(
        "{:?}",
        relay(pool, &broker)
            .drain(CancellationToken::new())
            .await
            .unwrap_err()
    );
    assert!(
        error.contains("nothing") && error.contains("migration check"),
        "{error}"
    );
    run(pool, "ALTER TABLE outbox_dead_letters DROP CONSTRAINT nothing").await;
    relay(pool, &broker)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(number(pool, "count(*) FROM outbox_dead_letters").await, 1);
}

/// A database beside the tests' own, whose texts have another encoding; it is dropped by the test.
struct Encoded {
    beside: TestDatabase<Postgres>,
    name: String,
    pool: PgPool,
}

impl Encoded {
    async fn new(encoding: &str) -> Self {
        let beside = TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await;
        let name = format!("encoded_{}", uuid::Uuid::now_v7().simple());
        let create = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        run(&beside.pool, create).await;
        let pool = Self::connect(&beside, &name).await;
        Self { beside, name, pool }
    }

    async fn connect(beside: &TestDatabase<Postgres>, name: &str) -> PgPool {
        let options: PgConnectOptions = beside.url().parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(5);
        pool.connect_with(options.database(name)).await.unwrap()
    }

    async fn drop(self) {
        self.pool.close().await;
        run(
            &self.beside.pool,
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
        )
        .await;
    }
}

/// `chr(129)` is a byte that WIN1252 leaves open: the server stores it, and cannot put it into UTF-8.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_dead_and_the_others_go_on() {
    let (database, broker) = (Encoded::new("WIN1252").await, MemoryBroker::new());
    let pool = &database.pool;
    migrate(pool, &Tables::default()).await.unwrap();
    insert_good(pool, 30).await;
    insert(pool, "'good'", "'a' || chr(129)", "'E'", 2).await;
    insert_good(pool, 30).await;
    insert(pool, "'good'", "'b'", "'E' || chr(129)", 1).await;
    let report = relay(pool, &broker)
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((report.delivered, report.dead_lettered), (60, 3));
    let listed = std::cell::RefCell::new(Vec::new());
    DeadLetters::in_postgres(pool, &Tables::default())
        .list(&DeadLetterFilter::default(), None, |dead_letter| {
            listed.borrow_mut().push((dead_letter.key, dead_letter.reason));
            std::ops::ControlFlow::Continue(())
        })
        .await
        .unwrap();
    let unreadable = |key: &str| (key.to_owned(), "unreadable".to_owned());
    assert_eq!(
        listed.into_inner(),
        [unreadable("a?"), unreadable("a?"), unreadable("b")]
    );
    let whole = "count(*) FROM outbox_dead_letters
                 WHERE convert_from(payload_binary, 'WIN1252')::json ->> 'aggregate_id' = 'a' || chr(129)";
    assert_eq!(number(pool, whole).await, 2);
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_checks_no_texts_is_refused() {
    let database = Encoded::new("SQL_ASCII").await;
    let refused = migrate(&database.pool, &Tables::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("SQL_ASCII") && refused.contains("ENCODING 'UTF8'"),
        "{refused}"
    );
    database.drop().await;

    // Tables that are there already: as if an older version had made them.
    let database = Encoded::new("UTF8").await;
    migrate(&database.pool, &Tables::default()).await.unwrap();
    let forget = format!(
        "UPDATE pg_database SET encoding = 0 WHERE datname = '{}'",
        database.name
    );
    run(&database.pool, forget).await;
    database.pool.close().await;
    let pool = Encoded::connect(&database.beside, &database.name).await;
    let error = format!(
        "{:?}",
        relay(&pool, &MemoryBroker::new())
            .drain(CancellationToken::new())
            .await
            .unwrap_err()
    );
    assert!(error.contains("SQL_ASCII"), "{error}");
    pool.close().await;
    database.drop().await;
}

/// SQLite lets bytes in where a text should be, and texts that are not UTF-8.
#[tokio::test]
async fn bytes_that_are_no_text_are_dead_in_sqlite_too() {
    let scene = Scene::new().await;
    scene.commit(10).await;
    for (topic, key) in [
        ("'orders'", "CAST(x'61ff' AS TEXT)"),
        ("x'ff00'", "'k'"),
        ("'orders'", "x'00'"),
    ] {
        let insert = format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ('order', {key}, 'E', {topic}, '{{}}')"
        );
        sqlx::query(AssertSqlSafe(insert))
            .execute(&scene.database.pool)
            .await
            .unwrap();
    }
    scene.commit(10).await;
    let report = scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!((report.delivered, report.dead_lettered), (20, 3));
    let kept = "count(*) FROM outbox_dead_letters WHERE reason = 'unreadable' AND json_valid(CAST(payload_binary AS TEXT))
                AND json_extract(CAST(payload_binary AS TEXT), '$.aggregate_id_hex') IN ('61FF', '6B', '00')";
    assert_eq!(scene.count(kept).await, 3);
    let listed = DeadLetters::in_sqlite(&scene.database.pool, &Tables::default());
    assert_eq!(listed.count(&DeadLetterFilter::default()).await.unwrap(), 3);
}
