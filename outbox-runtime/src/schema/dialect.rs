//! The databases that hold the tables, and what differs between them when the tables are made.

use std::fmt;

use sqlx::{AssertSqlSafe, Transaction};

use super::definition::{Finding, Table};
use super::{Role, Tables, TablesVersion};

/// SQL dialect of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL 13 and newer.
    Postgres,
    /// SQLite 3.
    Sqlite,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        })
    }
}

/// A database that [`migrate`](super::migrate) supports: `sqlx::Postgres` and `sqlx::Sqlite`.
///
/// Sealed: its methods are no part of the library's interface.
pub trait SchemaDatabase: sqlx::Database + sealed::Sealed {
    #[doc(hidden)]
    const DIALECT: Dialect;

    /// The newest version that `outbox_schema` records; none without the table or without a row.
    #[doc(hidden)]
    fn installed_version(
        connection: &mut Self::Connection,
        tables: &Tables,
    ) -> impl Future<Output = sqlx::Result<Option<TablesVersion>>> + Send;

    /// The tables with these suffixes, as far as they are there.
    #[doc(hidden)]
    fn definition(
        connection: &mut Self::Connection,
        tables: &Tables,
        suffixes: &[String],
    ) -> impl Future<Output = sqlx::Result<Vec<Table>>> + Send;

    /// What the guarantees rest on, and is not so.
    #[doc(hidden)]
    fn broken_assumptions(
        connection: &mut Self::Connection,
        tables: &Tables,
        suffixes: &[String],
    ) -> impl Future<Output = sqlx::Result<Vec<Finding>>> + Send;

    /// What the connection's role may not do of what `role` does.
    #[doc(hidden)]
    fn missing_rights(
        connection: &mut Self::Connection,
        tables: &Tables,
        role: Role,
    ) -> impl Future<Output = sqlx::Result<Vec<Finding>>> + Send;

    /// How much room the messages' partitions leave; none where there are no partitions.
    #[doc(hidden)]
    fn room(
        connection: &mut Self::Connection,
        tables: &Tables,
    ) -> impl Future<Output = sqlx::Result<Option<Room>>> + Send;

    /// A transaction beside which no other migration runs.
    #[doc(hidden)]
    fn begin_exclusively(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = sqlx::Result<Transaction<'_, Self>>> + Send;

    /// The database's encoding, if it does not check that texts are valid in it.
    #[doc(hidden)]
    fn unchecked_encoding(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = sqlx::Result<Option<String>>> + Send;

    /// Whether a statement gave up because other sessions kept a lock.
    #[doc(hidden)]
    fn is_lock_timeout(error: &sqlx::Error) -> bool;

    /// The sessions that hold locks on the tables, for people.
    #[doc(hidden)]
    fn lock_holders(
        connection: &mut Self::Connection,
        tables: &Tables,
    ) -> impl Future<Output = sqlx::Result<String>> + Send;

    /// Runs all statements of a script.
    #[doc(hidden)]
    fn run_script(
        connection: &mut Self::Connection,
        script: AssertSqlSafe<String>,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Partitions for future messages.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// So many more messages have a partition.
    pub(crate) left: i64,
    /// So many has one partition.
    pub(crate) partition: i64,
    /// Numbers from the first on and below the second have none, and later ones do.
    pub(super) hole: Option<(i64, i64)>,
}

mod sealed {
    pub trait Sealed {}
    #[cfg(feature = "postgres")]
    impl Sealed for sqlx::Postgres {}
    #[cfg(feature = "sqlite")]
    impl Sealed for sqlx::Sqlite {}
}

#[cfg(feature = "postgres")]
impl SchemaDatabase for sqlx::Postgres {
    const DIALECT: Dialect = Dialect::Postgres;

    async fn installed_version(
        connection: &mut sqlx::PgConnection,
        tables: &Tables,
    ) -> sqlx::Result<Option<TablesVersion>> {
        let table = tables.schema_version();
        // Asked for first, because an error would end the transaction that this may run in. To read pg_class
        // is what makes the server notice that somebody made the table while we waited for the lock:
        // to_regclass alone answers from what this connection remembers.
        let exists = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass($1))",
        )
        .bind(&table)
        .fetch_one(&mut *connection)
        .await?;
        if !exists {
            return Ok(None);
        }
        // Up to version 6 there is no such column.
        let newest: Option<(i32, Option<i32>)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT version, (to_jsonb(there) ->> 'oldest_program')::integer FROM {table} AS there
             ORDER BY version DESC LIMIT 1"
        )))
        .fetch_optional(connection)
        .await?;
        Ok(newest.map(|(number, oldest_program)| TablesVersion::new(number, oldest_program)))
    }

    async fn definition(
        connection: &mut sqlx::PgConnection,
        tables: &Tables,
        suffixes: &[String],
    ) -> sqlx::Result<Vec<Table>> {
        super::definition::postgres::read(connection, tables, suffixes).await
    }

    async fn broken_assumptions(
        connection: &mut sqlx::PgConnection,
        tables: &Tables,
        suffixes: &[String],
    ) -> sqlx::Result<Vec<Finding>> {
        super::assumptions::broken_in_postgres(connection, tables, suffixes).await
    }

    async fn missing_rights(
        connection: &mut sqlx::PgConnection,
        tables: &Tables,
        role: Role,
    ) -> sqlx::Result<Vec<Finding>> {
        super::rights::missing(connection, tables, role).await
    }

    async fn room(connection: &mut sqlx::PgConnection, tables: &Tables) -> sqlx::Result<Option<Room>> {
        super::partitions::room(connection, tables).await
    }

    async fn begin_exclusively(connection: &mut sqlx::PgConnection) -> sqlx::Result<Transaction<'_, Self>> {
        let mut tx = sqlx::Connection::begin(connection).await?;
        // A repeatable-read default would show us the catalog as it was before we waited for the lock.
        sqlx::query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            .execute(&mut *tx)
            .await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(super::render::ADVISORY_LOCK)
            .execute(&mut *tx)
            .await?;
        // Whoever waits for a lock on a table holds up all who ask for it later.
        sqlx::query("SET LOCAL lock_timeout = '1s'")
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }

    async fn unchecked_encoding(connection: &mut sqlx::PgConnection) -> sqlx::Result<Option<String>> {
        let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
            .fetch_one(connection)
            .await?;
        Ok(Some(encoding).filter(|encoding| encoding == "SQL_ASCII"))
    }

    fn is_lock_timeout(error: &sqlx::Error) -> bool {
        super::locks::is_lock_timeout(error)
    }

    async fn lock_holders(connection: &mut sqlx::PgConnection, tables: &Tables) -> sqlx::Result<String> {
        super::locks::holders(connection, tables).await
    }

    async fn run_script(
        connection: &mut sqlx::PgConnection,
        script: AssertSqlSafe<String>,
    ) -> sqlx::Result<()> {
        sqlx::raw_sql(script).execute(connection).await.map(drop)
    }
}

#[cfg(feature = "sqlite")]
impl SchemaDatabase for sqlx::Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;

    async fn installed_version(
        connection: &mut sqlx::SqliteConnection,
        tables: &Tables,
    ) -> sqlx::Result<Option<TablesVersion>> {
        let exists = sqlx::query_scalar::<_, bool>(AssertSqlSafe(format!(
            "SELECT EXISTS (SELECT 1 FROM {}sqlite_master WHERE type = 'table' AND name = ?)",
            tables
                .schema()
                .map(|schema| format!("\"{schema}\"."))
                .unwrap_or_default()
        )))
        .bind(tables.bare("schema"))
        .fetch_one(&mut *connection)
        .await?;
        if !exists {
            return Ok(None);
        }
        // Up to version 6 there is no such column: then the one of the row around it is meant.
        let newest: Option<(i32, Option<i32>)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT version, (SELECT oldest_program FROM {table} AS same WHERE same.version = there.version)
             FROM {table} AS there CROSS JOIN (SELECT NULL AS oldest_program) AS unknown
             ORDER BY version DESC LIMIT 1",
            table = tables.schema_version()
        )))
        .fetch_optional(connection)
        .await?;
        Ok(newest.map(|(number, oldest_program)| TablesVersion::new(number, oldest_program)))
    }

    async fn definition(
        connection: &mut sqlx::SqliteConnection,
        tables: &Tables,
        suffixes: &[String],
    ) -> sqlx::Result<Vec<Table>> {
        super::definition::sqlite::read(connection, tables, suffixes).await
    }

    async fn broken_assumptions(
        connection: &mut sqlx::SqliteConnection,
        tables: &Tables,
        _suffixes: &[String],
    ) -> sqlx::Result<Vec<Finding>> {
        super::assumptions::broken_in_sqlite(connection, tables).await
    }

    async fn missing_rights(
        _connection: &mut sqlx::SqliteConnection,
        _tables: &Tables,
        _role: Role,
    ) -> sqlx::Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn room(_connection: &mut sqlx::SqliteConnection, _tables: &Tables) -> sqlx::Result<Option<Room>> {
        Ok(None)
    }

    async fn begin_exclusively(
        connection: &mut sqlx::SqliteConnection,
    ) -> sqlx::Result<Transaction<'_, Self>> {
        sqlx::Connection::begin_with(connection, "BEGIN IMMEDIATE").await
    }

    async fn run_script(
        connection: &mut sqlx::SqliteConnection,
        script: AssertSqlSafe<String>,
    ) -> sqlx::Result<()> {
        sqlx::raw_sql(script).execute(connection).await.map(drop)
    }

    async fn unchecked_encoding(_: &mut sqlx::SqliteConnection) -> sqlx::Result<Option<String>> {
        Ok(None)
    }

    fn is_lock_timeout(_: &sqlx::Error) -> bool {
        false
    }

    async fn lock_holders(_: &mut sqlx::SqliteConnection, _: &Tables) -> sqlx::Result<String> {
        Ok(String::new())
    }
}
