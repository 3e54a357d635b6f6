//! SQLite.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs::File, path::PathBuf};

use outbox_runtime::schema::{Dialect, Migrated, Migration, SchemaError, check_schema};
use outbox_runtime::{Tables, migrate};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};
use tempfile::TempDir;

use crate::files::{migrator, written};

const INSERT: &str = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
                      VALUES ('order', 'o-1', 'OrderPlacedV1', 'orders', '{\"b\": 1, \"a\":\"q\\\"uote\"}')";

struct Database {
    pool: SqlitePool,
    file: PathBuf,
    _dir: TempDir,
}

async fn database() -> Database {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("test.db");
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new()
        .max_connections(8)
        .connect_with(options)
        .await
        .unwrap();
    Database {
        pool,
        file,
        _dir: dir,
    }
}

async fn migrated() -> Database {
    let database = database().await;
    migrate(&database.pool, &Tables::default()).await.unwrap();
    database
}

async fn run(pool: &SqlitePool, sql: impl Into<String>) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .map(drop)
}

async fn count(pool: &SqlitePool, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

async fn tables(pool: &SqlitePool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'outbox%' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// The shell, fed as `sqlite3 file < script`.
fn shell(database: &Path, script: &Path) -> Output {
    Command::new("sqlite3")
        .arg(database)
        .stdin(Stdio::from(File::open(script).unwrap()))
        .output()
        .expect("the sqlite3 shell is installed (Debian: sqlite3)")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn migrate_makes_the_tables_once() {
    let database = database().await;
    let first = migrate(&database.pool, &Tables::default()).await.unwrap();
    let second = migrate(&database.pool, &Tables::default()).await.unwrap();
    assert_eq!((first, second), (Migrated::Applied, Migrated::UpToDate));
    assert_eq!(
        tables(&database.pool).await,
        [
            "outbox_cursor",
            "outbox_dead_letters",
            "outbox_lease",
            "outbox_messages",
            "outbox_schema"
        ]
    );
    for one_row in ["outbox_lease", "outbox_cursor", "outbox_schema"] {
        assert_eq!(count(&database.pool, one_row).await, 1, "{one_row}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_applies_and_none_fails() {
    let database = database().await;
    let all = (0..8).map(|_| {
        let pool = database.pool.clone();
        tokio::spawn(async move { migrate(&pool, &Tables::default()).await })
    });
    let mut applied = 0;
    for one in all.collect::<Vec<_>>() {
        applied += usize::from(one.await.unwrap().unwrap() == Migrated::Applied);
    }
    assert_eq!(applied, 1);
}

#[tokio::test]
async fn a_plain_insert_of_five_columns_is_a_message() {
    let database = migrated().await;
    run(&database.pool, INSERT).await.unwrap();
    let (seq, id, payload, content_type, headers, occurred_at): (
        i64,
        String,
        String,
        String,
        String,
        String,
    ) = sqlx::query_as("SELECT seq, id, payload, content_type, headers, occurred_at FROM outbox_messages")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(
        (seq, content_type.as_str(), headers.as_str()),
        (1, "application/json", "{}")
    );
    assert_eq!(payload, "{\"b\": 1, \"a\":\"q\\\"uote\"}");
    let uuid = uuid::Uuid::parse_str(&id).unwrap();
    assert_eq!((uuid.get_version_num(), uuid.to_string()), (4, id));
    assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
    assert!(occurred_at.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(&occurred_at).is_ok());
}

#[tokio::test]
async fn rows_that_a_relay_could_not_read_are_refused() {
    let database = migrated().await;
    let insert = |columns: &str, values: &str| {
        format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, {columns}) \
             VALUES ('a', 'k', 'E', 't', {values})"
        )
    };
    for (columns, values, constraint) in [
        ("payload", "'{'", "outbox_messages_payload_json"),
        ("payload", "x'7b7d'", "outbox_messages_payload_json"),
        ("payload_binary", "'text'", "outbox_messages_payload_blob"),
        (
            "payload, payload_binary",
            "'{}', x'00'",
            "outbox_messages_one_payload",
        ),
        ("headers", "'[]'", "outbox_messages_headers_object"),
        (
            "id",
            "'F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6'",
            "outbox_messages_id_uuid",
        ),
        (
            "id",
            "'f81d4fae-7dec-11d0-a765-00a0c91e6b-6'",
            "outbox_messages_id_uuid",
        ),
        ("id", "x'00'", "outbox_messages_id_uuid"),
        ("occurred_at", "'yesterday'", "outbox_messages_occurred_at_time"),
        ("occurred_at", "1700000000", "outbox_messages_occurred_at_time"),
    ] {
        let error = run(&database.pool, insert(columns, values))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(constraint), "{columns} = {values}: {error}");
    }
    for (columns, values) in [
        ("payload", "NULL"),
        ("payload_binary", "x'00ff'"),
        ("id", "'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'"),
        ("occurred_at", "'2025-06-01T10:00:00.123456Z'"),
        ("occurred_at", "CURRENT_TIMESTAMP"),
    ] {
        run(&database.pool, insert(columns, values)).await.unwrap();
    }
}

#[tokio::test]
async fn a_number_is_not_used_again_after_the_newest_row_went() {
    let database = migrated().await;
    run(
        &database.pool,
        format!("{INSERT}; DELETE FROM outbox_messages; {INSERT}"),
    )
    .await
    .unwrap();
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM outbox_messages")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(seq, 2);
}

#[tokio::test]
async fn the_files_go_up_and_down_through_sqlx_and_mix_with_migrate() {
    let database = database().await;
    let dir = written(Dialect::Sqlite, &Tables::default());
    let migrator = migrator(dir.path()).await;

    migrator.run(&database.pool).await.unwrap();
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );
    migrator.undo(&database.pool, 0).await.unwrap();
    assert!(tables(&database.pool).await.is_empty());

    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );
    assert_eq!(count(&database.pool, "_sqlx_migrations").await, 0);
    migrator.run(&database.pool).await.unwrap();
    assert_eq!(count(&database.pool, "outbox_cursor").await, 1);
}

#[tokio::test]
async fn down_refuses_while_something_would_be_lost() {
    let database = database().await;
    let dir = written(Dialect::Sqlite, &Tables::default());
    let migrator = migrator(dir.path()).await;
    migrator.run(&database.pool).await.unwrap();

    run(&database.pool, INSERT).await.unwrap();
    let error = migrator.undo(&database.pool, 0).await.unwrap_err().to_string();
    assert!(
        error.contains("undelivered messages or dead letters would be lost"),
        "{error}"
    );
    assert_eq!(count(&database.pool, "outbox_messages").await, 1);

    run(
        &database.pool,
        "UPDATE outbox_cursor SET high = 1; INSERT INTO outbox_dead_letters (id, seq, aggregate_type, \
         aggregate_id, event_type, topic, content_type, occurred_at, state, reason, error) \
         VALUES ('x', 1, 'a', 'k', 'E', 't', 'c', 'o', 'dead', 'r', 'e')",
    )
    .await
    .unwrap();
    migrator.undo(&database.pool, 0).await.unwrap_err();

    run(&database.pool, "DELETE FROM outbox_dead_letters")
        .await
        .unwrap();
    migrator.undo(&database.pool, 0).await.unwrap();
    assert!(tables(&database.pool).await.is_empty());
}

#[tokio::test]
async fn the_shell_applies_the_files_and_keeps_undelivered_messages() {
    let database = database().await;
    let dir = written(Dialect::Sqlite, &Tables::default());
    let migration = Migration::all(Dialect::Sqlite, &Tables::default()).remove(0);
    let (up, down) = (
        dir.path().join(migration.up_file()),
        dir.path().join(migration.down_file()),
    );

    for _ in 0..2 {
        let output = shell(&database.file, &up);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );
    run(&database.pool, INSERT).await.unwrap();

    // The shell goes on after errors: nothing may be dropped all the same.
    let refused = text(&shell(&database.file, &down).stderr);
    assert!(
        refused.contains("would be lost; deliver them with `outbox relay --until-empty`"),
        "{refused}"
    );
    assert_eq!(tables(&database.pool).await.len(), 5);

    // GIVEN the comment's statement is uncommented
    let forced = migration.down().replace("-- DELETE", "DELETE");
    std::fs::write(&down, forced).unwrap();
    let output = shell(&database.file, &down);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert!(tables(&database.pool).await.is_empty());
}

#[tokio::test]
async fn two_logs_live_side_by_side() {
    let database = migrated().await;
    let other = Tables::new(None, "billing_").unwrap();
    assert_eq!(migrate(&database.pool, &other).await.unwrap(), Migrated::Applied);
    assert_eq!(count(&database.pool, "billing_cursor").await, 1);
    let main = Tables::new(Some("main"), "third_").unwrap();
    assert_eq!(migrate(&database.pool, &main).await.unwrap(), Migrated::Applied);
    assert_eq!(migrate(&database.pool, &main).await.unwrap(), Migrated::UpToDate);
}

#[tokio::test]
async fn the_check_says_what_to_run() {
    let database = database().await;
    let mut connection = database.pool.acquire().await.unwrap();
    let billing = Tables::new(None, "billing_").unwrap();
    let error = check_schema::<Sqlite>(&mut connection, &billing)
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::Missing { .. }));
    assert!(
        error
            .to_string()
            .contains("outbox migrate --prefix billing_ --database-url"),
        "{error}"
    );

    migrate(&database.pool, &Tables::default()).await.unwrap();
    check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap();

    run(&database.pool, "UPDATE outbox_schema SET version = 0")
        .await
        .unwrap();
    let older = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(older, SchemaError::Older { found: 0, .. }), "{older}");

    run(&database.pool, "UPDATE outbox_schema SET version = 2")
        .await
        .unwrap();
    let newer = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(newer, SchemaError::Newer { found: 2, .. }), "{newer}");
    let refused = migrate(&database.pool, &Tables::default()).await.unwrap_err();
    assert!(
        matches!(refused, SchemaError::Newer { found: 2, .. }),
        "{refused}"
    );
}
