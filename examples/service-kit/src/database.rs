//! The database of a service: a file of SQLite, or PostgreSQL with the feature `postgres`.

use outbox_runtime::{OutboxTx, migrate};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Pool, SqlSafeStr};

use crate::ServiceError;

/// The database that the services are compiled for.
#[cfg(feature = "postgres")]
pub type Db = sqlx::Postgres;
/// The database that the services are compiled for.
#[cfg(not(feature = "postgres"))]
pub type Db = sqlx::Sqlite;

#[cfg(feature = "postgres")]
pub(crate) use outbox_runtime::PostgresStore as Store;
#[cfg(not(feature = "postgres"))]
pub(crate) use outbox_runtime::SqliteStore as Store;

/// A transaction of a service, with its events.
pub type Tx<'c> = OutboxTx<'c, Db>;

/// The tables of a service: migrations by number, name and SQL.
pub type Tables = &'static [(i64, &'static str, &'static str)];

/// Connects to the database of this URL. A SQLite file is created if it is missing.
///
/// # Errors
/// The URL is wrong, or the database cannot be reached.
pub async fn connect(url: &str) -> Result<Pool<Db>, sqlx::Error> {
    #[cfg(feature = "postgres")]
    return Pool::connect(url).await;
    #[cfg(not(feature = "postgres"))]
    {
        use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
        let options: SqliteConnectOptions = url.parse()?;
        // Readers do not wait for the writer.
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        Pool::connect_with(options).await
    }
}

/// Creates the outbox tables and those of the service, or brings them up to date.
///
/// # Errors
/// The database refuses it, or has newer tables.
pub async fn create_tables(pool: &Pool<Db>, tables: Tables) -> Result<(), ServiceError> {
    migrate(pool, &outbox_runtime::Tables::default()).await?;
    let migrations = tables.iter().map(|(version, name, sql)| {
        Migration::new(
            *version,
            (*name).into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect()).run(pool).await?;
    Ok(())
}
