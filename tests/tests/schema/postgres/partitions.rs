//! Messages in partitions, made ahead without stopping anybody.

use std::time::Duration;

use outbox_runtime::PostgresStore;
use outbox_runtime::schema::{Layout, Severity, compare_schema, migrate_as};
use outbox_runtime::store::Store;

use super::*;

on_all_versions! {
    room_is_made_beside_open_writers_and_once,
    a_writer_without_room_fails_and_goes_on_when_there_is_some,
    the_check_reports_how_much_room_there_is,
    down_drops_the_partitions_too,
    one_table_is_not_turned_into_partitions,
}

const ROWS: i64 = 100;
/// As many as a new log has room for.
const ROOM: i64 = 16 * ROWS - 1;

async fn partitioned(version: PostgresVersion) -> TestDatabase<Postgres> {
    TestDatabase::partitioned_at(version, 100).await
}

fn insert(count: i64) -> String {
    format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
         SELECT 'order', n::text, 'OrderPlacedV1', 'orders', '{{}}' FROM generate_series(1, {count}) AS n"
    )
}

async fn partitions(pool: &PgPool) -> i64 {
    count(pool, "pg_inherits WHERE inhparent = 'outbox_messages'::regclass").await
}

async fn room_is_made_beside_open_writers_and_once(version: PostgresVersion) {
    let database = partitioned(version).await;
    let store = PostgresStore::new(&database.pool);
    assert_eq!(store.make_room().await.unwrap(), 0);
    assert_eq!(partitions(&database.pool).await, 16);

    // GIVEN a writer in the middle of its transaction, and a reader
    let mut writer = database.pool.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(insert(5 * ROWS)))
        .execute(&mut *writer)
        .await
        .unwrap();
    let mut reader = database.pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM outbox_messages")
        .execute(&mut *reader)
        .await
        .unwrap();

    // WHEN many make room at once
    let all = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.make_room().await })
    });
    let mut made = 0;
    for one in all.collect::<Vec<_>>() {
        let one = tokio::time::timeout(Duration::from_secs(20), one).await;
        made += one.expect("nobody is waited for").unwrap().unwrap();
    }

    // THEN it is there once, and both go on
    assert_eq!((made, partitions(&database.pool).await), (5, 21));
    for _ in 0..15 {
        sqlx::raw_sql(AssertSqlSafe(insert(ROWS)))
            .execute(&mut *writer)
            .await
            .unwrap();
    }
    writer.commit().await.unwrap();
    reader.rollback().await.unwrap();
    assert_eq!(count(&database.pool, "outbox_messages").await, 20 * ROWS);

    // The new ones are like the first.
    let odd = "(SELECT attstorage, attnotnull, attname, count(*) FROM pg_attribute a JOIN pg_inherits i \
               ON i.inhrelid = a.attrelid AND i.inhparent = 'outbox_messages'::regclass WHERE attnum > 0 GROUP BY 1, 2, 3 HAVING count(*) <> 21) AS odd";
    assert_eq!(count(&database.pool, odd).await, 0);
    let indexes = "pg_index JOIN pg_inherits ON inhrelid = indrelid WHERE indisvalid";
    assert_eq!(count(&database.pool, indexes).await, 2 * 21);
}

async fn a_writer_without_room_fails_and_goes_on_when_there_is_some(version: PostgresVersion) {
    let database = partitioned(version).await;
    run(&database.pool, insert(ROOM)).await.unwrap();
    let error = run(&database.pool, insert(1)).await.unwrap_err();
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .map(|code| code.into_owned());
    assert_eq!(code.as_deref(), Some("23514"), "{error}");
    assert_eq!(count(&database.pool, "outbox_messages").await, ROOM);

    assert!(PostgresStore::new(&database.pool).make_room().await.unwrap() > 0);
    run(&database.pool, insert(1)).await.unwrap();
    assert_eq!(count(&database.pool, "outbox_messages").await, ROOM + 1);
}

async fn the_check_reports_how_much_room_there_is(version: PostgresVersion) {
    let database = partitioned(version).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut findings = async || {
        let comparison = compare_schema::<Postgres>(&mut connection, &Tables::default()).await;
        let findings = comparison.unwrap().findings.into_iter();
        findings
            .map(|finding| (finding.severity, finding.object))
            .collect::<Vec<_>>()
    };
    assert_eq!(findings().await, []);
    run(&database.pool, insert(ROOM - 10)).await.unwrap();
    let later = "a partition for later messages".to_owned();
    assert_eq!(findings().await, [(Severity::Warning, later)]);
    run(&database.pool, insert(10)).await.unwrap();
    let next = "a partition for the next message".to_owned();
    assert_eq!(findings().await, [(Severity::Error, next)]);
    PostgresStore::new(&database.pool).make_room().await.unwrap();
    assert_eq!(findings().await, []);
}

async fn down_drops_the_partitions_too(version: PostgresVersion) {
    let database = partitioned(version).await;
    let layout = Layout::partitioned(100).unwrap();
    let migration = Migration::create_as(layout, Dialect::Postgres, &Tables::default());
    // Harmless where they are there already.
    run(&database.pool, migration.up()).await.unwrap();
    assert_eq!(partitions(&database.pool).await, 16);
    run(&database.pool, insert(1)).await.unwrap();
    run(&database.pool, migration.down()).await.unwrap_err();
    run(&database.pool, "DELETE FROM outbox_messages").await.unwrap();
    run(&database.pool, migration.down()).await.unwrap();
    assert!(tables(&database.pool, "public").await.is_empty());
}

async fn one_table_is_not_turned_into_partitions(version: PostgresVersion) {
    let database = migrated(version).await;
    let layout = Layout::partitioned(100).unwrap();
    let error = migrate_as(layout, &database.pool, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::NotPartitioned), "{error}");
    assert_eq!(PostgresStore::new(&database.pool).make_room().await.unwrap(), 0);
}
