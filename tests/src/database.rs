//! Databases of a test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use outbox_runtime::schema::{Layout, SCHEMA_VERSION, SchemaDatabase, migrate_as};
use outbox_runtime::{Tables, migrate};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Pool, Postgres, Sqlite};
use tempfile::TempDir;

use crate::servers::PostgresVersion;

/// A database of its own, with the outbox's tables in it unless it is called empty. It goes away with this value.
pub struct TestDatabase<DB: sqlx::Database> {
    /// Connections to it.
    pub pool: Pool<DB>,
    remains: Remains,
}

/// Which programs work with tables of the version after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTables {
    /// Something was added, and programs of this version go on.
    LeaveThisOne,
    /// Programs of this version have to stop.
    LeaveNone,
}

impl NextTables {
    /// The version's number.
    pub const VERSION: i32 = SCHEMA_VERSION + 1;

    /// What a migration to that version does, in SQL for both databases.
    pub fn migration(self) -> String {
        let oldest = match self {
            Self::LeaveThisOne => SCHEMA_VERSION,
            Self::LeaveNone => Self::VERSION,
        };
        format!(
            "ALTER TABLE outbox_messages ADD COLUMN added_later text;
             ALTER TABLE outbox_cursor ADD COLUMN added_later text;
             CREATE TABLE outbox_added_later (id integer PRIMARY KEY);
             INSERT INTO outbox_schema (version, oldest_program) VALUES ({}, {oldest})",
            Self::VERSION
        )
    }
}

/// What has to be cleaned up.
enum Remains {
    Postgres { admin: String, name: String },
    Sqlite { _folder: TempDir },
}

impl TestDatabase<Postgres> {
    /// A new database on the server that all tests share, with at most 20 connections.
    pub async fn postgres() -> Self {
        Self::postgres_with(20).await
    }

    /// As [`postgres`](Self::postgres), with at most so many connections.
    pub async fn postgres_with(connections: u32) -> Self {
        Self::postgres_on(PostgresVersion::Distribution.url(), connections).await
    }

    /// As [`postgres`](Self::postgres), on the shared server of this version.
    pub async fn postgres_at(version: PostgresVersion) -> Self {
        Self::postgres_on(version.url(), 20).await
    }

    /// As [`postgres_at`](Self::postgres_at), with the messages in partitions of so many rows.
    pub async fn partitioned_at(version: PostgresVersion, rows: u32) -> Self {
        let database = Self::empty_postgres_at(version).await;
        let layout = Layout::partitioned(rows).expect("partitions have rows");
        migrate_as(layout, &database.pool, &Tables::default())
            .await
            .expect("the tables can be created");
        database
    }

    /// A new database on the shared server of this version, with nothing in it.
    pub async fn empty_postgres_at(version: PostgresVersion) -> Self {
        Self::empty_postgres_on(version.url(), 20).await
    }

    async fn postgres_on(admin: String, connections: u32) -> Self {
        Self::empty_postgres_on(admin, connections)
            .await
            .with_tables()
            .await
    }

    async fn empty_postgres_on(admin: String, connections: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mut connection = PgConnection::connect(&admin)
            .await
            .expect("the server of DATABASE_URL answers");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create)
            .execute(&mut connection)
            .await
            .expect("a database can be created");
        let options: PgConnectOptions = admin.parse().expect("DATABASE_URL is a URL");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .connect_with(options.database(&name))
            .await;
        Self {
            pool: pool.expect("the new database can be connected to"),
            remains: Remains::Postgres { admin, name },
        }
    }
}

impl TestDatabase<Postgres> {
    /// Its URL, for other programs.
    pub fn url(&self) -> String {
        let Remains::Postgres { admin, name } = &self.remains else {
            unreachable!("a PostgreSQL database leaves a PostgreSQL database behind");
        };
        let mut url = url::Url::parse(admin).expect("DATABASE_URL is a URL");
        url.set_path(name);
        url.into()
    }
}

impl TestDatabase<Sqlite> {
    /// A new file in a folder of its own, in WAL mode, with at most 10 connections.
    pub async fn sqlite() -> Self {
        Self::sqlite_with(10).await
    }

    /// As [`sqlite`](Self::sqlite), with at most so many connections.
    pub async fn sqlite_with(connections: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("test.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .connect_with(options)
            .await;
        let pool = pool.expect("the file can be opened");
        let database = Self {
            pool,
            remains: Remains::Sqlite { _folder: folder },
        };
        database.with_tables().await
    }
}

impl<DB: SchemaDatabase> TestDatabase<DB> {
    async fn with_tables(self) -> Self {
        migrate(&self.pool, &Tables::default())
            .await
            .expect("the tables can be created");
        self
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        let Self::Postgres { admin, name } = self else {
            return;
        };
        let (admin, drop) = (admin.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
        // A runtime of its own: the test's may be the one that is unwinding.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&admin).await?;
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await
            })
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("a test's database is left behind: {error}");
        }
    }
}
