//! PostgreSQL.

use std::path::Path;
use std::process::{Command, Output};

use outbox_runtime::schema::{Dialect, Migrated, Migration, SchemaError, check_schema};
use outbox_runtime::{Tables, migrate};
use outbox_tests::TestDatabase;
use outbox_tests::servers::PostgresVersion;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgPool, Postgres};

use crate::files::{migrator, written};

const INSERT: &str = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
                      VALUES ('order', 'o-1', 'OrderPlacedV1', 'orders', '{\"b\": 1, \"a\":\"q\\\"uote\"}')";

/// Each of these tests on each supported server.
macro_rules! on_all_versions {
    ($($test:ident,)*) => {
        mod distribution { $(#[tokio::test] async fn $test() { super::$test(super::PostgresVersion::Distribution).await })* }
        mod version_13 { $(#[tokio::test] async fn $test() { super::$test(super::PostgresVersion::V13).await })* }
        mod version_18 { $(#[tokio::test] async fn $test() { super::$test(super::PostgresVersion::V18).await })* }
    };
}

on_all_versions! {
    migrate_makes_the_tables_once,
    of_many_at_once_one_applies_and_none_fails,
    the_messages_have_the_promised_columns_in_their_order,
    a_plain_insert_of_five_columns_is_a_message,
    two_payloads_or_headers_that_are_no_object_are_refused,
    the_size_of_a_payload_is_known_without_reading_it,
    a_writer_needs_no_right_to_our_columns,
    a_role_that_may_create_nothing_can_call_migrate_on_a_migrated_database,
    a_named_schema_is_created_and_an_existing_one_is_used_without_the_right_to_create_one,
    the_files_go_up_and_down_through_sqlx_and_mix_with_migrate,
    down_refuses_while_something_would_be_lost,
    psql_applies_the_files_and_keeps_undelivered_messages,
    the_check_says_what_to_run,
}

async fn database(version: PostgresVersion) -> TestDatabase<Postgres> {
    TestDatabase::empty_postgres_at(version).await
}

async fn migrated(version: PostgresVersion) -> TestDatabase<Postgres> {
    TestDatabase::postgres_at(version).await
}

async fn run(pool: &PgPool, sql: impl Into<String>) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .map(drop)
}

/// Roles belong to the server, so they have to go by themselves.
async fn drop_role(pool: &PgPool, role: &str) {
    run(pool, format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

async fn tables(pool: &PgPool, schema: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 AND tablename <> '_sqlx_migrations' \
         ORDER BY 1",
    )
    .bind(schema)
    .fetch_all(pool)
    .await
    .unwrap()
}

const TABLES: [&str; 5] = [
    "outbox_cursor",
    "outbox_dead_letters",
    "outbox_lease",
    "outbox_messages",
    "outbox_schema",
];

fn psql(database: &TestDatabase<Postgres>, options: &[&str], script: &Path) -> Output {
    Command::new("psql")
        .args(["--no-psqlrc", "--quiet"])
        .args(options)
        .arg(database.url())
        .arg("-f")
        .arg(script)
        .output()
        .expect("psql is installed (Debian: postgresql-client)")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn migrate_makes_the_tables_once(version: PostgresVersion) {
    let database = database(version).await;
    let first = migrate(&database.pool, &Tables::default()).await.unwrap();
    let second = migrate(&database.pool, &Tables::default()).await.unwrap();
    assert_eq!((first, second), (Migrated::Applied, Migrated::UpToDate));
    assert_eq!(tables(&database.pool, "public").await, TABLES);
    for one_row in ["outbox_lease", "outbox_cursor", "outbox_schema"] {
        assert_eq!(count(&database.pool, one_row).await, 1, "{one_row}");
    }
}

async fn of_many_at_once_one_applies_and_none_fails(version: PostgresVersion) {
    let database = database(version).await;
    // Whatever the server's default isolation is.
    run(
        &database.pool,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', \
         current_database()); END $$",
    )
    .await
    .unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .connect(&database.url())
        .await
        .unwrap();
    for tables in [
        Tables::default(),
        Tables::new(Some("billing"), "events_").unwrap(),
    ] {
        let all = (0..8).map(|_| {
            let (pool, tables) = (pool.clone(), tables.clone());
            tokio::spawn(async move { migrate(&pool, &tables).await })
        });
        let mut applied = 0;
        for one in all.collect::<Vec<_>>() {
            applied += usize::from(one.await.unwrap().unwrap() == Migrated::Applied);
        }
        assert_eq!(applied, 1);
    }
}

async fn the_messages_have_the_promised_columns_in_their_order(version: PostgresVersion) {
    let database = migrated(version).await;
    let columns: Vec<(String, String, bool, Option<String>)> = sqlx::query_as(
        "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                pg_get_expr(d.adbin, d.adrelid) \
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = 'outbox_messages'::regclass AND a.attnum > 0 ORDER BY a.attnum",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let columns: Vec<String> = columns
        .into_iter()
        .map(|(name, kind, required, default)| {
            let required = if required { " not null" } else { "" };
            let default = default
                .map(|default| format!(" default {default}"))
                .unwrap_or_default();
            format!("{name} {kind}{required}{default}")
        })
        .collect();
    assert_eq!(
        columns,
        [
            "xid xid8 not null default pg_current_xact_id()",
            "seq bigint not null",
            "id uuid not null default gen_random_uuid()",
            "aggregate_type text not null",
            "aggregate_id text not null",
            "event_type text not null",
            "topic text not null",
            "payload json",
            "payload_binary bytea",
            "content_type text not null default 'application/json'::text",
            "source text",
            "headers jsonb not null default '{}'::jsonb",
            "occurred_at timestamp with time zone not null default now()",
        ]
    );
}

async fn a_plain_insert_of_five_columns_is_a_message(version: PostgresVersion) {
    let database = migrated(version).await;
    run(&database.pool, INSERT).await.unwrap();
    let (seq, version, payload): (i64, String, String) =
        sqlx::query_as("SELECT seq, substr(id::text, 15, 1), payload::text FROM outbox_messages")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!((seq, version.as_str()), (1, "4"));
    assert_eq!(payload, "{\"b\": 1, \"a\":\"q\\\"uote\"}");
}

async fn two_payloads_or_headers_that_are_no_object_are_refused(version: PostgresVersion) {
    let database = migrated(version).await;
    for (columns, values, constraint) in [
        (
            "payload, payload_binary",
            "'{}', '\\x00'",
            "outbox_messages_one_payload",
        ),
        ("headers", "'[]'", "outbox_messages_headers_object"),
    ] {
        let insert = format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, {columns}) \
             VALUES ('a', 'k', 'E', 't', {values})"
        );
        let error = run(&database.pool, insert).await.unwrap_err().to_string();
        assert!(error.contains(constraint), "{error}");
    }
}

async fn the_size_of_a_payload_is_known_without_reading_it(version: PostgresVersion) {
    let database = migrated(version).await;
    run(
        &database.pool,
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
         VALUES ('a', 'k', 'E', 't', to_json(repeat('x', 100000)))",
    )
    .await
    .unwrap();
    let size: i32 = sqlx::query_scalar("SELECT pg_column_size(payload) FROM outbox_messages")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(size, 100_002);
}

async fn a_writer_needs_no_right_to_our_columns(version: PostgresVersion) {
    let database = migrated(version).await;
    let role = format!("writer_{}", uuid::Uuid::now_v7().simple());
    let grant = Migration::all(Dialect::Postgres, &Tables::default())[0]
        .up()
        .lines()
        .map(|line| line.trim_start_matches("--").trim())
        .skip_while(|line| !line.starts_with("GRANT"))
        .take(2)
        .collect::<String>();
    run(
        &database.pool,
        format!("CREATE ROLE {role}; {}", grant.replace("<role>", &role)),
    )
    .await
    .unwrap();
    run(
        &database.pool,
        format!("BEGIN; SET LOCAL ROLE {role}; {INSERT}; COMMIT"),
    )
    .await
    .unwrap();
    let with_xid = INSERT
        .replace("payload)", "payload, xid)")
        .replace("}')", "}', '3')");
    let error = run(
        &database.pool,
        format!("BEGIN; SET LOCAL ROLE {role}; {with_xid}; COMMIT"),
    )
    .await;
    assert!(error.unwrap_err().to_string().contains("permission denied"));
    drop_role(&database.pool, &role).await;
}

async fn a_role_that_may_create_nothing_can_call_migrate_on_a_migrated_database(version: PostgresVersion) {
    let database = migrated(version).await;
    let role = format!("reader_{}", uuid::Uuid::now_v7().simple());
    run(
        &database.pool,
        format!("CREATE ROLE {role}; GRANT SELECT ON outbox_schema TO {role}"),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("role", &role)]))
        .await
        .unwrap();
    assert_eq!(
        migrate(&pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );
    drop_role(&database.pool, &role).await;
}

async fn a_named_schema_is_created_and_an_existing_one_is_used_without_the_right_to_create_one(
    version: PostgresVersion,
) {
    let database = database(version).await;
    let billing = Tables::new(Some("billing"), "outbox_").unwrap();
    assert_eq!(
        migrate(&database.pool, &billing).await.unwrap(),
        Migrated::Applied
    );
    assert_eq!(tables(&database.pool, "billing").await, TABLES);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );

    let role = format!("owner_{}", uuid::Uuid::now_v7().simple());
    run(
        &database.pool,
        format!("CREATE ROLE {role}; CREATE SCHEMA sales AUTHORIZATION {role}"),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("role", &role)]))
        .await
        .unwrap();
    let sales = Tables::new(Some("sales"), "outbox_").unwrap();
    assert_eq!(migrate(&pool, &sales).await.unwrap(), Migrated::Applied);
    drop_role(&database.pool, &role).await;
}

async fn the_files_go_up_and_down_through_sqlx_and_mix_with_migrate(version: PostgresVersion) {
    for tables_named in [
        Tables::default(),
        Tables::new(Some("billing"), "events_").unwrap(),
    ] {
        let database = database(version).await;
        let dir = written(Dialect::Postgres, &tables_named);
        let migrator = migrator(dir.path()).await;
        let schema = tables_named.schema().unwrap_or("public");

        migrator.run(&database.pool).await.unwrap();
        assert_eq!(
            migrate(&database.pool, &tables_named).await.unwrap(),
            Migrated::UpToDate
        );
        migrator.undo(&database.pool, 0).await.unwrap();
        assert!(tables(&database.pool, schema).await.is_empty());

        assert_eq!(
            migrate(&database.pool, &tables_named).await.unwrap(),
            Migrated::Applied
        );
        assert_eq!(count(&database.pool, "_sqlx_migrations").await, 0);
        migrator.run(&database.pool).await.unwrap();
        assert_eq!(count(&database.pool, &tables_named.cursor()).await, 1);
    }
}

async fn down_refuses_while_something_would_be_lost(version: PostgresVersion) {
    let database = database(version).await;
    let dir = written(Dialect::Postgres, &Tables::default());
    let migrator = migrator(dir.path()).await;
    migrator.run(&database.pool).await.unwrap();
    // A connection of its own, as sqlx-cli has: after an error sqlx leaves its session lock behind.
    let refusal = async || {
        let mut connection = sqlx::PgConnection::connect(&database.url()).await.unwrap();
        format!("{:?}", migrator.undo(&mut connection, 0).await.unwrap_err())
    };

    // GIVEN nothing was relayed yet
    run(&database.pool, INSERT).await.unwrap();
    let error = refusal().await;
    assert!(
        error.contains("1 undelivered message(s) and 0 dead letter(s) would be lost"),
        "{error}"
    );
    assert!(error.contains("outbox relay --until-empty"), "{error}");

    // GIVEN the cursor has passed the first row, and a second one came
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot()",
    )
    .await
    .unwrap();
    run(&database.pool, INSERT).await.unwrap();
    assert!(refusal().await.contains("1 undelivered message(s)"));

    // GIVEN a cursor that was written in another cluster
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), system_identifier = '1'",
    )
    .await
    .unwrap();
    assert!(refusal().await.contains("2 undelivered message(s)"));
    run(
        &database.pool,
        "UPDATE outbox_cursor SET system_identifier = (SELECT s.system_identifier FROM pg_control_system() s)",
    )
    .await
    .unwrap();

    // GIVEN only a dead letter
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(); \
         INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, \
         content_type, occurred_at, state, reason, error) \
         SELECT id, seq, aggregate_type, aggregate_id, event_type, topic, content_type, occurred_at, 'dead', \
         'r', 'e' FROM outbox_messages LIMIT 1",
    )
    .await
    .unwrap();
    assert!(
        refusal()
            .await
            .contains("0 undelivered message(s) and 1 dead letter(s)")
    );
    assert_eq!(tables(&database.pool, "public").await, TABLES);

    run(&database.pool, "DELETE FROM outbox_dead_letters")
        .await
        .unwrap();
    migrator.undo(&database.pool, 0).await.unwrap();
    assert!(tables(&database.pool, "public").await.is_empty());
}

async fn psql_applies_the_files_and_keeps_undelivered_messages(version: PostgresVersion) {
    let migration = Migration::all(Dialect::Postgres, &Tables::default()).remove(0);
    for options in [&["-1"][..], &[]] {
        let database = database(version).await;
        let dir = written(Dialect::Postgres, &Tables::default());
        let (up, down) = (
            dir.path().join(migration.up_file()),
            dir.path().join(migration.down_file()),
        );

        let output = psql(&database, options, &up);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
        let again = psql(&database, options, &up);
        assert!(!text(&again.stderr).contains("ERROR"), "{}", text(&again.stderr));
        assert_eq!(
            migrate(&database.pool, &Tables::default()).await.unwrap(),
            Migrated::UpToDate
        );

        run(&database.pool, INSERT).await.unwrap();
        let refused = text(&psql(&database, options, &down).stderr);
        assert!(
            refused.contains("1 undelivered message(s)") && refused.contains("HINT"),
            "{refused}"
        );
        assert_eq!(tables(&database.pool, "public").await, TABLES);

        // GIVEN the comment's statement is uncommented
        std::fs::write(&down, migration.down().replace("-- TRUNCATE", "TRUNCATE")).unwrap();
        let output = psql(&database, options, &down);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
        assert!(tables(&database.pool, "public").await.is_empty());
    }
}

async fn the_check_says_what_to_run(version: PostgresVersion) {
    let database = database(version).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let billing = Tables::new(Some("billing"), "events_").unwrap();
    let error = check_schema::<Postgres>(&mut connection, &billing)
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::Missing { .. }));
    let text = error.to_string();
    assert!(
        text.contains("outbox migrate --schema billing --prefix events_ --database-url"),
        "{text}"
    );

    migrate(&database.pool, &Tables::default()).await.unwrap();
    check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap();

    run(&database.pool, "UPDATE outbox_schema SET version = 0")
        .await
        .unwrap();
    let older = check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(older, SchemaError::Older { found: 0, .. }), "{older}");

    run(&database.pool, "UPDATE outbox_schema SET version = 2")
        .await
        .unwrap();
    let newer = check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(newer, SchemaError::Newer { found: 2, .. }), "{newer}");
    let refused = migrate(&database.pool, &Tables::default()).await.unwrap_err();
    assert!(
        matches!(refused, SchemaError::Newer { found: 2, .. }),
        "{refused}"
    );
}
