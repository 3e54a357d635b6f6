//! A log with numbered events, and the command line's program.

use std::collections::BTreeMap;
use std::time::Duration;

use outbox_runtime::Tables;
use outbox_runtime::schema::{Layout, migrate_as};
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{PostgresServer, PostgresVersion};
use outbox_tests::{servers, wait_until};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgExecutor};
use tokio::sync::OnceCell;

/// Longer than a lease and a start on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Connections to a database that is there already.
pub(crate) async fn connect(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .connect(url)
        .await
        .expect("the database answers")
}

/// Connections to a database that gets the outbox's tables.
pub(crate) async fn log_at(url: &str) -> PgPool {
    log_as(Layout::Plain, url).await
}

/// As [`log_at`], laid out like this.
pub(crate) async fn log_as(layout: Layout, url: &str) -> PgPool {
    let pool = connect(url).await;
    migrate_as(layout, &pool, &Tables::default())
        .await
        .expect("tables can be made");
    pool
}

/// Inserts the events `numbers`, in one statement. Each thousand has five keys of its own.
pub(crate) async fn insert(database: impl PgExecutor<'_>, topic: &Topic, numbers: std::ops::Range<u32>) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n / 1000) || '-' || (n % 5), 'OrderPlacedV1', '{}', to_json(n) FROM generate_series({}, {}) AS n",
        topic.name(),
        numbers.start,
        numbers.end - 1
    );
    sqlx::query(AssertSqlSafe(insert))
        .execute(database)
        .await
        .expect("events can be written");
}

/// Two clusters that tests share, each with databases of its own: one that is far ahead in its transaction ids, and one
/// that is not.
pub(crate) async fn ahead_and_behind() -> (&'static PostgresServer, &'static PostgresServer) {
    static PAIR: OnceCell<(PostgresServer, PostgresServer)> = OnceCell::const_new();
    let start = async || {
        let version = PostgresVersion::Distribution;
        let (ahead, behind) = tokio::join!(PostgresServer::start(version), PostgresServer::start(version));
        use_up_ids(&connect(&ahead.url()).await, 20_000).await;
        (ahead, behind)
    };
    let (ahead, behind) = PAIR.get_or_init(start).await;
    (ahead, behind)
}

/// A new database of this server, and its URL.
pub(crate) async fn database(server: &PostgresServer, name: &str) -> String {
    server.create_database(name, "template0").await;
    server.url_of(name)
}

/// Uses up transaction ids.
pub(crate) async fn use_up_ids(pool: &PgPool, count: u32) {
    let burn = format!(
        "DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    );
    sqlx::raw_sql(AssertSqlSafe(burn)).execute(pool).await.unwrap();
}

pub(crate) async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(crate) async fn number(pool: &PgPool, of: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT {of}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

/// All numbers in the topic, sorted, of which each key's are in order, up to repetitions.
pub(crate) async fn numbers(topic: &Topic) -> Vec<u32> {
    let mut by_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for record in topic.read_all().await {
        let number = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let key = record.key_text().expect("it has a key").to_owned();
        by_key.entry(key).or_default().push(number);
    }
    for (key, numbers) in &by_key {
        let mut first: Vec<u32> = Vec::new();
        for number in numbers {
            if !first.contains(number) {
                first.push(*number);
            }
        }
        assert!(
            first.is_sorted(),
            "the first occurrences of key {key} are {first:?}"
        );
    }
    let mut all: Vec<u32> = by_key.into_values().flatten().collect();
    all.sort_unstable();
    all
}

pub(crate) fn range(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.collect()
}

/// Runs `outbox` with these arguments, split at spaces.
pub(crate) async fn outbox(arguments: &str) -> Ran {
    Ran::of(&mut command(arguments)).await
}

/// Delivers what is there to the shared broker, and ends.
pub(crate) async fn relay_all(url: &str) -> Ran {
    let brokers = servers::brokers();
    outbox(&format!(
        "relay -D {url} --brokers {brokers} --until-empty --lease-ttl 1s"
    ))
    .await
}

/// A relay that runs on.
pub(crate) fn relay(url: &str, brokers: &str) -> Running {
    relay_with_lease(url, brokers, "1s")
}

pub(crate) fn relay_with_lease(url: &str, brokers: &str, ttl: &str) -> Running {
    let relay = format!("relay -D {url} --brokers {brokers} --lease-ttl {ttl}");
    Running::start(command(&relay))
}

/// Waits until the topic has at least these.
pub(crate) async fn until_arrived(topic: &Topic, expected: &[u32]) {
    wait_until("the events to arrive", LIMIT, async || {
        let there = numbers(topic).await;
        expected.iter().all(|number| there.contains(number)).then_some(())
    })
    .await;
}

/// Waits until the cursor says that so many rows are settled.
pub(crate) async fn until_settled(url: &str, rows: i64) {
    let pool = connect(url).await;
    let settled =
        "count(*) FROM outbox_messages, outbox_cursor WHERE pg_visible_in_snapshot(xid, from_snapshot)";
    wait_until("the cursor to be written", LIMIT, async || {
        (number(&pool, settled).await == rows).then_some(())
    })
    .await;
    pool.close().await;
}
