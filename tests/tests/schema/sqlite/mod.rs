//! SQLite.

mod applying;
mod checking;
mod definition;
mod files;
mod upgrading;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs::File, path::PathBuf};

use outbox_runtime::schema::{Dialect, Fit, Migrated, Migration, SCHEMA_VERSION, SchemaError, check_schema};
use outbox_runtime::{Tables, migrate};
use outbox_tests::NextTables;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};
use tempfile::TempDir;

use crate::files::{migrator, written, written_since};

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
