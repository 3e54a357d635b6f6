//! PostgreSQL.

use std::path::Path;
use std::process::{Command, Output};

use outbox_runtime::schema::{Dialect, Fit, Migrated, Migration, SCHEMA_VERSION, SchemaError, check_schema};
use outbox_runtime::{Tables, migrate};
use outbox_tests::servers::PostgresVersion;
use outbox_tests::{NextTables, TestDatabase};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgPool, Postgres};

use crate::files::{migrator, written, written_since};

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

mod applying;
mod assumptions;
mod checking;
mod definition;
mod files;
mod locks;
mod partitions;
mod undelivered;
mod upgrading;

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

const TABLES: [&str; 10] = [
    "outbox_audit",
    "outbox_controls",
    "outbox_cursor",
    "outbox_dead_letters",
    "outbox_inbox",
    "outbox_inbox_dead_letters",
    "outbox_lease",
    "outbox_messages",
    "outbox_modes",
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
