//! Reaching a database once, for commands that do not wait for servers.

use std::time::Duration;

use outbox_runtime::store::refused;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::Exit;
use crate::address::Address;
use crate::failure::Failure;

/// A database that has answered.
pub(crate) enum Database {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// What to do about a SQLite file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    Create,
    Fail,
}

/// Connects, or fails with [`Exit::Unreachable`] if there is no answer in time.
pub(crate) async fn connect(
    address: &Address,
    if_missing: IfMissing,
    patience: Duration,
) -> Result<Database, Failure> {
    match address {
        Address::Postgres(options) => postgres(address, options, patience).await.map(Database::Postgres),
        Address::Sqlite(options) => {
            let pool = sqlite(address, options.as_ref().clone(), if_missing)?;
            // SQLite opens the file late and reads it later: a wrong one is found here.
            let looked = sqlx::query("SELECT count(*) FROM sqlite_master")
                .execute(&pool)
                .await;
            looked.map_err(|error| cannot_open(address, error))?;
            Ok(Database::Sqlite(pool))
        }
    }
}

async fn postgres(
    address: &Address,
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgPool, Failure> {
    let unreachable = || {
        Failure::new(
            Exit::Unreachable,
            format!("the database at {address} cannot be reached"),
        )
    };
    // A pool would repeat a refused connection until its time is up.
    let reached = tokio::time::timeout(patience, PgConnection::connect_with(options)).await;
    let on_socket = options.get_socket().is_some();
    match reached {
        Err(_) => Err(unreachable()
            .because(format!("no answer within {patience:?}"))
            .advise("check host and port; --connect-timeout waits longer")),
        Ok(Err(error)) => Err(match refused(&error, on_socket) {
            Some(refusal) => Failure::failed(format!(
                "the database at {address} refused the connection: {}",
                refusal.what
            ))
            .because(error)
            .advise(refusal.advice),
            None if is_away(&error) => unreachable()
                .because(error)
                .advise("check host and port, and that the server runs"),
            None => Failure::failed(format!("the database at {address} refused the connection"))
                .because(error)
                .advise("check user, password and the database's name in --database-url"),
        }),
        Ok(Ok(connection)) => {
            // It has served its purpose, whether it says goodbye or not.
            let _ = connection.close().await;
            Ok(PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(patience)
                .connect_lazy_with(options.clone()))
        }
    }
}

/// Whether the server could not be spoken to; anything else is its answer.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // cannot_connect_now: it starts, stops or recovers. too_many_connections.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P03" | "53300")),
        _ => false,
    }
}

/// A pool for the file; does not open it yet. A file that a relay or a status asks for has to be there.
pub(crate) fn sqlite(
    address: &Address,
    options: SqliteConnectOptions,
    if_missing: IfMissing,
) -> Result<SqlitePool, Failure> {
    let exists = options.get_filename().exists();
    let options = match if_missing {
        _ if exists => options.create_if_missing(false),
        // Readers and the writer do not wait for each other in this mode, which stays with the file.
        IfMissing::Create => options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal),
        IfMissing::Fail => {
            return Err(
                Failure::failed(format!("there is no database at {address}")).advise(format!(
                    "check the path; `outbox migrate --database-url {address}` makes one"
                )),
            );
        }
    };
    Ok(SqlitePoolOptions::new().connect_lazy_with(options.disable_statement_logging()))
}

fn cannot_open(address: &Address, error: sqlx::Error) -> Failure {
    Failure::failed(format!("the database at {address} cannot be opened"))
        .because(error)
        .advise(
            "check that the file is a SQLite database, that its directory exists, and your rights to both",
        )
}
