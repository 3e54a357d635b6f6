//! A connection of the relay's own: outside of the service's pool, never waiting for ever.

use std::future::Future;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Postgres};

use crate::Tables;
use crate::schema::check_schema;
use crate::store::StoreError;

/// No statement of the store takes longer than milliseconds in normal running. One that does not answer for
/// this long has lost its connection without a word, and a new connection is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// Row-level security must not hide rows: where it would, statements fail instead.
///
/// Guards against plans that read the whole log: statistics of a log are stale most of the time, because it
/// grows at one end. Prepared statements may turn generic; these settings hold for both kinds of plans.
const SESSION: &str = "SET application_name = 'outbox-relay'; SET enable_seqscan = off; SET enable_bitmapscan = off; \
     SET jit = off; SET max_parallel_workers_per_gather = 0; SET default_transaction_isolation = 'read committed'; \
     SET statement_timeout = '25s'; SET lock_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SET row_security = off";

pub(super) struct Connection(PgConnection);

impl Connection {
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let doing = "connecting";
        let options = options.clone().disable_statement_logging();
        let connection = patiently(doing, PgConnection::connect_with(&options)).await?;
        let mut connection = Self(connection);
        connection
            .run("preparing the session", async |pg| {
                sqlx::raw_sql(SESSION).execute(pg).await
            })
            .await?;
        Ok(connection)
    }

    /// The tables have the version that this library works with, or the error says what to run.
    pub(super) async fn check_schema(&mut self, tables: &Tables) -> Result<(), StoreError> {
        let checking = check_schema::<Postgres>(&mut self.0, tables);
        match tokio::time::timeout(PATIENCE, checking).await {
            Ok(checked) => Ok(checked?),
            Err(_) => Err(StoreError::timed_out("checking the tables' version")),
        }
    }

    /// Runs statements on the connection. After an error the connection must not be used again.
    pub(super) async fn run<T>(
        &mut self,
        doing: &'static str,
        statements: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        patiently(doing, statements(&mut self.0)).await
    }
}

async fn patiently<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(StoreError::while_doing(doing)),
        Err(_) => Err(StoreError::timed_out(doing)),
    }
}
