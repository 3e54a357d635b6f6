//! The database of a service: a file of SQLite, or PostgreSQL with the feature `postgres`.

use outbox_runtime::{Outbox, OutboxTx, migrate};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Pool, SqlSafeStr};

use crate::{ServiceError, Settings};

/// The database that the services are compiled for.
#[cfg(feature = "postgres")]
pub type Db = sqlx::Postgres;
/// The database that the services are compiled for.
#[cfg(not(feature = "postgres"))]
pub type Db = sqlx::Sqlite;

/// The log in that database, as a relay reads it.
#[cfg(feature = "postgres")]
pub use outbox_runtime::PostgresStore as Store;
/// The log in that database, as a relay reads it.
#[cfg(not(feature = "postgres"))]
pub use outbox_runtime::SqliteStore as Store;

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

/// The outbox of a service. On PostgreSQL it has modes: events can be sent directly, or beside the service's own.
///
/// # Errors
/// The brokers' addresses are wrong.
#[cfg(feature = "postgres")]
pub fn open_outbox(settings: &Settings, pool: &Pool<Db>) -> Result<Outbox<Db>, ServiceError> {
    use outbox_runtime::modes::Modes;
    let modes = Modes::new(settings.publisher()?).default_mode(settings.mode);
    Ok(Outbox::builder(pool.clone()).modes(modes).build())
}

/// The outbox of a service, which has no modes on SQLite.
///
/// # Errors
/// Another mode was asked for.
#[cfg(not(feature = "postgres"))]
pub fn open_outbox(settings: &Settings, pool: &Pool<Db>) -> Result<Outbox<Db>, ServiceError> {
    match settings.mode {
        outbox_runtime::modes::Mode::Outbox => Ok(Outbox::new(pool.clone())),
        mode => Err(ServiceError::Mode(mode)),
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
