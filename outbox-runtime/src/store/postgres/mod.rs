//! The log in PostgreSQL, followed by a snapshot cursor: no row is skipped, none is written again.
//!
//! `snapshot`, `window` and `progress` are the algorithm, without a database; `sql` is every statement; `reader`
//! and `lease` are the two connections of an active relay.

mod connection;
mod dead_letters;
mod decode;
mod lease;
mod progress;
mod reader;
mod snapshot;
mod sql;
mod status;
mod window;

use std::fmt;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool};

use self::connection::Connection;
use self::lease::PostgresLease;
use self::reader::PostgresReader;
use self::sql::Sql;
use super::{Fence, Store, StoreError, StoreErrorKind, StoreStatus};
use crate::{RelayWaker, Tables};

/// The log of messages in a PostgreSQL database (13 or newer).
///
/// A relay opens connections of its own, three while it is active, with the options given here; it takes none
/// from a service's pool. They have to lead to PostgreSQL itself: a pooler that changes the server connection
/// between statements would take the session's settings away.
#[derive(Clone)]
pub struct PostgresStore {
    options: PgConnectOptions,
    tables: Arc<Tables>,
    sql: Arc<Sql>,
    channel: Arc<str>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options know the password.
        formatter
            .debug_struct("PostgresStore")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// The log in the database that `pool` leads to. Only the pool's options are used.
    pub fn new(pool: &PgPool) -> Self {
        Self::with_options(pool.connect_options().as_ref().clone())
    }

    /// The log in the database that `options` lead to. Does not connect.
    pub fn with_options(options: PgConnectOptions) -> Self {
        let tables = Tables::default();
        Self {
            options,
            sql: Arc::new(Sql::new(&tables)),
            channel: channel(&tables),
            tables: Arc::new(tables),
        }
    }

    /// Uses tables of other names.
    #[must_use]
    pub fn tables(self, tables: &Tables) -> Self {
        Self {
            tables: Arc::new(tables.clone()),
            sql: Arc::new(Sql::new(tables)),
            channel: channel(tables),
            ..self
        }
    }
}

/// The channel of wake-ups: one for each log of a database.
fn channel(tables: &Tables) -> Arc<str> {
    match tables.schema() {
        Some(schema) => format!("{schema}.{}wake", tables.prefix()).into(),
        None => tables.bare("wake").into(),
    }
}

impl Store for PostgresStore {
    type Lease = PostgresLease;
    type Reader = PostgresReader;

    async fn open_lease(&self) -> Result<PostgresLease, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        connection.check_schema(&self.tables).await?;
        Ok(PostgresLease::new(
            connection,
            Arc::clone(&self.sql),
            Arc::clone(&self.channel),
        ))
    }

    async fn open_reader(&self, fence: Fence) -> Result<PostgresReader, StoreError> {
        PostgresReader::open(&self.options, Arc::clone(&self.sql), fence).await
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        status::read(&mut connection, &self.sql).await
    }

    fn default_source(&self) -> String {
        format!(
            "/{}",
            self.options.get_database().unwrap_or(self.options.get_username())
        )
    }

    async fn forward_wakes(&self, waker: &RelayWaker) -> StoreError {
        let listening = async {
            let mut listener =
                PgListener::connect_with(&PgPool::connect_lazy_with(self.options.clone())).await?;
            listener.listen(&self.channel).await?;
            while listener.try_recv().await?.is_some() {
                waker.wake();
            }
            Ok(())
        };
        match listening.await {
            Err(error) => StoreError::while_doing("listening for wake-ups")(error),
            Ok(()) => StoreError::new(StoreErrorKind::Unavailable, "listening for wake-ups"),
        }
    }
}
