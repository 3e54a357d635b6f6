//! Messages that are not delivered yet are protected from removal.

use outbox_runtime::PostgresStore;
use outbox_runtime::schema::compare_schema;
use outbox_runtime::store::Store;

use super::*;

on_all_versions! {
    undelivered_messages_are_neither_deleted_nor_truncated,
    a_window_that_is_worked_off_counts_up_to_its_position,
    a_log_without_a_relay_may_be_emptied,
    partitions_keep_their_undelivered_messages_too,
    a_role_that_may_only_delete_gets_the_same_error,
    a_log_that_was_moved_keeps_what_was_written_in_its_new_place,
}

async fn insert(pool: &PgPool, count: i64) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
         SELECT 'order', n::text, 'OrderPlacedV1', 'orders', '{{}}' FROM generate_series(1, {count}) AS n"
    );
    run(pool, insert).await.unwrap();
}

/// As a relay writes it that has delivered everything.
async fn all_delivered(pool: &PgPool) {
    run(
        pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), high = (SELECT max(seq) FROM outbox_messages),
           to_snapshot = NULL, high_to = NULL, position = NULL",
    )
    .await
    .unwrap();
}

async fn refused(pool: &PgPool, removal: &str, messages: i64) {
    let error = run(pool, removal).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("55000"), "{removal}: {error}");
    let error = format!("{error:?}");
    let words = [
        format!("would remove {messages} message(s)"),
        "outbox.allow_delete_undelivered = on".to_owned(),
        "outbox relay --until-empty".to_owned(),
    ];
    assert!(
        words.iter().all(|words| error.contains(words)),
        "{removal}: {error}"
    );
}

async fn undelivered_messages_are_neither_deleted_nor_truncated(version: PostgresVersion) {
    let database = migrated(version).await;
    let pool = &database.pool;
    insert(pool, 10).await;
    all_delivered(pool).await;
    insert(pool, 5).await;
    refused(pool, "DELETE FROM outbox_messages", 5).await;
    refused(
        pool,
        "WITH gone AS (DELETE FROM outbox_messages RETURNING 1) SELECT count(*) FROM gone",
        5,
    )
    .await;
    refused(pool, "DELETE FROM outbox_messages WHERE seq = 11", 1).await;
    refused(pool, "TRUNCATE outbox_messages RESTART IDENTITY", 5).await;
    assert_eq!(count(pool, "outbox_messages").await, 15);

    // What is delivered goes, and nothing is asked of a statement that removes nothing.
    run(
        pool,
        "DELETE FROM outbox_messages WHERE seq <= 7; DELETE FROM outbox_messages WHERE seq > 99",
    )
    .await
    .unwrap();
    run(
        pool,
        "BEGIN; SET LOCAL outbox.allow_delete_undelivered = on; DELETE FROM outbox_messages WHERE seq = 11; COMMIT",
    )
    .await
    .unwrap();
    refused(pool, "DELETE FROM outbox_messages", 4).await;
    run(
        pool,
        "SET outbox.allow_delete_undelivered = on; TRUNCATE outbox_messages; RESET outbox.allow_delete_undelivered",
    )
    .await
    .unwrap();
    insert(pool, 1).await;
    refused(pool, "TRUNCATE outbox_messages", 1).await;
    all_delivered(pool).await;
    run(pool, "TRUNCATE outbox_messages").await.unwrap();
}

async fn a_window_that_is_worked_off_counts_up_to_its_position(version: PostgresVersion) {
    let database = migrated(version).await;
    let pool = &database.pool;
    insert(pool, 10).await;
    all_delivered(pool).await;
    // A transaction that is late: its seq is below the others', and it is not in the lower snapshot.
    let mut late = pool.begin().await.unwrap();
    sqlx::raw_sql(INSERT).execute(&mut *late).await.unwrap();
    insert(pool, 10).await;
    all_delivered(pool).await;
    late.commit().await.unwrap();
    insert(pool, 10).await;
    refused(pool, "DELETE FROM outbox_messages WHERE seq <= 21", 1).await;
    run(
        pool,
        "UPDATE outbox_cursor SET to_snapshot = pg_current_snapshot(), high_to = 31, position = 25",
    )
    .await
    .unwrap();
    refused(pool, "DELETE FROM outbox_messages", 6).await;
    refused(pool, "TRUNCATE outbox_messages", 6).await;
    run(pool, "DELETE FROM outbox_messages WHERE seq <= 25")
        .await
        .unwrap();
    assert_eq!(count(pool, "outbox_messages").await, 6);
}

async fn a_log_without_a_relay_may_be_emptied(version: PostgresVersion) {
    let database = migrated(version).await;
    insert(&database.pool, 10).await;
    run(
        &database.pool,
        "DELETE FROM outbox_messages WHERE seq < 5; TRUNCATE outbox_messages",
    )
    .await
    .unwrap();
}

async fn partitions_keep_their_undelivered_messages_too(version: PostgresVersion) {
    let database = TestDatabase::partitioned_at(version, 100).await;
    let pool = &database.pool;
    insert(pool, 150).await;
    all_delivered(pool).await;
    insert(pool, 50).await;
    refused(pool, "DELETE FROM outbox_messages", 50).await;
    refused(pool, "DELETE FROM outbox_messages_p100", 49).await;
    refused(pool, "TRUNCATE outbox_messages_p100", 49).await;
    refused(pool, "TRUNCATE outbox_messages", 50).await;
    run(pool, "TRUNCATE outbox_messages_p0").await.unwrap();

    // Those that are made later have the triggers, too.
    insert(pool, 300).await;
    assert!(PostgresStore::new(pool).make_room().await.unwrap() > 0);
    run(
        pool,
        "SELECT setval(pg_get_serial_sequence('outbox_messages', 'seq'), 1700)",
    )
    .await
    .unwrap();
    insert(pool, 1).await;
    refused(pool, "TRUNCATE outbox_messages_p1700", 1).await;
    refused(pool, "DELETE FROM outbox_messages_p1700", 1).await;

    // And one that has lost them is found.
    run(
        pool,
        "DROP TRIGGER keep_undelivered_from_truncate ON outbox_messages_p300",
    )
    .await
    .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let found = compare_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap();
    let found: Vec<_> = found.findings.iter().map(ToString::to_string).collect();
    assert!(
        found.len() == 1 && found[0].contains("missing or disabled on the partition outbox_messages_p300"),
        "{found:?}"
    );
}

async fn a_role_that_may_only_delete_gets_the_same_error(version: PostgresVersion) {
    let database = migrated(version).await;
    insert(&database.pool, 10).await;
    all_delivered(&database.pool).await;
    insert(&database.pool, 1).await;
    let role = format!("cleaner_{}", uuid::Uuid::now_v7().simple());
    run(
        &database.pool,
        format!("CREATE ROLE {role}; GRANT SELECT, DELETE ON outbox_messages TO {role}"),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("role", role.as_str()), ("search_path", "pg_catalog")]))
        .await
        .unwrap();
    refused(&pool, "DELETE FROM public.outbox_messages", 1).await;
    run(&pool, "DELETE FROM public.outbox_messages WHERE seq <= 10")
        .await
        .unwrap();
    pool.close().await;
    drop_role(&database.pool, &role).await;
}

/// In another cluster the cursor's snapshot seems to see what is written there; its bound on seq shows that it does
/// not.
async fn a_log_that_was_moved_keeps_what_was_written_in_its_new_place(version: PostgresVersion) {
    let database = migrated(version).await;
    insert(&database.pool, 10).await;
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = '9000000000:9000000000:', high = 10, system_identifier = '1'",
    )
    .await
    .unwrap();
    insert(&database.pool, 3).await;
    refused(&database.pool, "DELETE FROM outbox_messages", 3).await;
    refused(&database.pool, "TRUNCATE outbox_messages", 3).await;
    run(&database.pool, "DELETE FROM outbox_messages WHERE seq <= 10")
        .await
        .unwrap();
}
