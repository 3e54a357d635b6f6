//! The log in PostgreSQL, followed by a snapshot cursor: no row is skipped, none is written again.
//!
//! `snapshot`, `window` and `progress` are the algorithm, without a database; `sql` is every statement; `reader`
//! and `lease` are the two connections of an active relay. `relocate` makes a log that was moved or copied start
//! from where it is.

mod behind;
mod claim;
mod connection;
mod dead_letters;
mod decode;
mod generations;
mod home;
mod inspect;
mod late;
mod lease;
mod login;
mod look;
mod low_water_mark;
mod observe;
mod options;
mod pages;
mod progress;
mod prune;
mod reader;
mod relocate;
#[cfg(feature = "metrics")]
mod sample;
mod snapshot;
mod sql;
mod status;
mod tail;
mod watch;
mod window;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool};
use uuid::Uuid;

use self::connection::Connection;
use self::late::LateSearches;
use self::lease::PostgresLease;
#[doc(hidden)]
pub use self::login::{Refusal, refused};
use self::options::Options;
use self::prune::PostgresPruning;
use self::reader::PostgresReader;
use self::relocate::{Order, relocate};
use self::sql::Sql;
pub(crate) use self::tail::PostgresTail;
use self::watch::{Warned, Watch};
use super::{
    Adopt, Fence, Fork, Inspect, Inspection, Observation, Pruning, Relocated, Store, StoreError,
    StoreErrorKind, StoreStatus, TailFrom,
};
use crate::schema::{Role, is_partitioned, make_partitions};
use crate::{ErrorChain, RelayWaker, Tables};

/// The log of messages in a PostgreSQL database (13 or newer).
///
/// A relay opens its own connections, three while it is active, with the options given here. It does not use
/// a service's pool. The connections must lead directly to PostgreSQL: a relay detects a pooler and ends.
#[derive(Clone)]
pub struct PostgresStore {
    options: Options,
    tables: Arc<Tables>,
    sql: Arc<Sql>,
    channel: Arc<str>,
    /// Learned when the tables are looked at for the first time.
    partitioned: Arc<OnceLock<bool>>,
    late_searches: LateSearches,
    warned: Warned,
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
    /// Creates a store for the database of `pool`. Only the pool's options are used. They are read at each
    /// connect, so that changes by [`Pool::set_connect_options`](sqlx::Pool::set_connect_options), such as a
    /// new password, apply to the relay.
    pub fn new(pool: &PgPool) -> Self {
        Self::connecting(Options::of(pool))
    }

    /// Creates a store for the database of `options`. Does not connect.
    pub fn with_options(options: PgConnectOptions) -> Self {
        Self::connecting(Options::fixed(options))
    }

    fn connecting(options: Options) -> Self {
        let tables = Tables::default();
        Self {
            options,
            sql: Arc::new(Sql::new(&tables)),
            channel: channel(&tables),
            tables: Arc::new(tables),
            partitioned: Arc::default(),
            late_searches: LateSearches::default(),
            warned: Warned::default(),
        }
    }

    /// Calls this function for the password at each connect, for example to read a rotated file, a vault, or
    /// a cloud provider's token. If it returns none, the relay waits and calls it again.
    ///
    /// ```
    /// # use outbox_runtime::PostgresStore;
    /// # fn example(options: sqlx::postgres::PgConnectOptions) -> PostgresStore {
    /// PostgresStore::with_options(options).password_from(|| async {
    ///     let password = std::fs::read_to_string("/run/secrets/relay")?;
    ///     Ok::<_, std::io::Error>(password.trim_end().to_owned())
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn password_from<F, R, E>(mut self, ask: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.options.ask_for_password(ask);
        self
    }

    /// Timeout of each of the relay's statements, which normally take milliseconds. Default: 25 s. A
    /// connection that does not answer five seconds later is closed.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.options.set_statement_timeout(timeout);
        self
    }

    /// Sets the names of the tables.
    #[must_use]
    pub fn tables(self, tables: &Tables) -> Self {
        Self {
            tables: Arc::new(tables.clone()),
            sql: Arc::new(Sql::new(tables)),
            channel: channel(tables),
            partitioned: Arc::default(),
            late_searches: LateSearches::default(),
            warned: Warned::default(),
            ..self
        }
    }
}

impl PostgresStore {
    /// Continues a log that was moved to this database: a restored dump, an upgraded cluster. Also recreates a lost row
    /// of the lease and, with [`Adopt::without_cursor`], of the cursor. Does nothing if the log was not moved, so it
    /// may be repeated.
    ///
    /// Runs in one transaction; messages may be written concurrently. It reads the whole log, and rewrites
    /// each message that is to be sent, or that was delivered and has a transaction id that this cluster has
    /// not assigned yet.
    ///
    /// # Errors
    /// [`StoreErrorKind::Undecided`] if only an operator can decide which messages were delivered; else an
    /// error of the database. Nothing was changed then. Dropping the future is safe, because everything is
    /// one transaction.
    pub async fn adopt(&self, adopt: Adopt) -> Result<Relocated, StoreError> {
        relocate(&self.options, &self.tables, Order::Adopt(adopt)).await
    }

    /// Separates a copied log from its original, so that it does not send messages that the original sends.
    ///
    /// # Errors
    /// [`StoreErrorKind::Undecided`] if nothing distinguishes the copy from the original; else as
    /// [`adopt`](Self::adopt).
    pub async fn fork(&self, fork: Fork) -> Result<Relocated, StoreError> {
        relocate(&self.options, &self.tables, Order::Fork(fork)).await
    }

    /// Everything that a health check looks at, on a connection of its own. Each statement takes at most
    /// [`statement_timeout`](Self::statement_timeout).
    pub(crate) async fn observe(&self) -> Result<Observation, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        let (version, read_only) = observe::server_state(&mut connection, &self.tables).await?;
        let log = match version {
            Some(found) if found.fit().is_good() => {
                self.is_partitioned(&mut connection).await?;
                let state = observe::log(&mut connection, &self.statements(), &self.tables).await;
                Some(state.map_err(|error| ErrorChain::new(&error).to_string()))
            }
            _ => None,
        };
        Ok(Observation {
            version,
            read_only,
            log,
        })
    }

    /// Searches for messages: see [`Outbox::inspect`](crate::Outbox::inspect).
    ///
    /// # Errors
    /// The database cannot be read, or its cursor is not valid: the log was moved, or the cursor's row is
    /// lost.
    pub async fn inspect(&self, wanted: &Inspect) -> Result<Inspection, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        inspect::inspect(&mut connection, &self.sql, &self.tables, wanted).await
    }

    /// Follows the log: see [`Outbox::tail`](crate::Outbox::tail).
    ///
    /// # Errors
    /// The role may not read the tables, they have another version, or the database is a standby.
    pub(crate) async fn tail(&self, from: TailFrom) -> Result<PostgresTail, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        connection.check_rights(&self.tables, Role::Reader).await?;
        self.warned.warn(&connection.check_schema(&self.tables).await?);
        self.is_partitioned(&mut connection).await?;
        let (options, tables) = (self.options.clone(), self.tables.as_ref().clone());
        let watch = Watch::start(options, tables, self.warned.clone());
        PostgresTail::open(connection, self.statements(), &self.tables, watch, from).await
    }

    /// Whether a relay can work with the tables.
    async fn check(&self, connection: &mut Connection) -> Result<(), StoreError> {
        connection.check_rights(&self.tables, Role::Relay).await?;
        self.warned.warn(&connection.check_schema(&self.tables).await?);
        Ok(())
    }

    /// Those that fit the tables, as far as these were looked at.
    fn statements(&self) -> Arc<Sql> {
        match self.partitioned.get() {
            Some(true) => Arc::new(Sql::of_partitions(&self.tables)),
            Some(false) | None => Arc::clone(&self.sql),
        }
    }

    async fn is_partitioned(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        if let Some(partitioned) = self.partitioned.get() {
            return Ok(*partitioned);
        }
        let found = connection
            .run("looking for partitions", async |pg| {
                is_partitioned(pg, &self.tables).await
            })
            .await?;
        Ok(*self.partitioned.get_or_init(|| found))
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
        // Asked first: what is wrong with the tables counts only if the server accepted writes before the check.
        let in_recovery = connection.is_in_recovery().await?;
        match self.check(&mut connection).await {
            // It shows an earlier state, which may lack the tables.
            Err(_) if in_recovery => {
                return Err(StoreError::new(StoreErrorKind::ReadOnly, "checking the tables"));
            }
            checked => checked?,
        }
        self.is_partitioned(&mut connection).await?;
        Ok(PostgresLease::new(
            connection,
            Arc::clone(&self.tables),
            Arc::clone(&self.sql),
            Arc::clone(&self.channel),
        ))
    }

    async fn open_reader_after(
        &self,
        fence: Fence,
        earlier: Option<Uuid>,
    ) -> Result<PostgresReader, StoreError> {
        let (sql, searches) = (self.statements(), self.late_searches.clone());
        let (options, tables) = (self.options.clone(), self.tables.as_ref().clone());
        let watch = Watch::start(options, tables, self.warned.clone());
        let claim = (fence, earlier);
        PostgresReader::open(&self.options, &self.tables, sql, (searches, watch), claim).await
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        let mut connection = Connection::open(&self.options).await?;
        self.is_partitioned(&mut connection).await?;
        status::read(&mut connection, &self.statements(), &self.tables).await
    }

    async fn make_room(&self) -> Result<u32, StoreError> {
        if self.partitioned.get() == Some(&false) {
            return Ok(0);
        }
        let mut connection = Connection::open(&self.options).await?;
        if !self.is_partitioned(&mut connection).await? {
            return Ok(0);
        }
        let doing = "making partitions for messages to come";
        let made = connection
            .run(doing, async |pg| make_partitions(pg, &self.tables).await)
            .await?;
        made.map_err(|holders| {
            let held = format!("other sessions hold locks on the outbox tables: {holders}");
            StoreError::new(StoreErrorKind::Unavailable, doing).with_source(held)
        })
    }

    async fn open_pruning(&self) -> Result<Box<dyn Pruning>, StoreError> {
        let partitioned = async |connection: &mut Connection| self.is_partitioned(connection).await;
        let pruning = PostgresPruning::open(&self.options, &self.tables, partitioned).await?;
        Ok(Box::new(pruning))
    }

    fn has_generations(&self) -> bool {
        true
    }

    fn default_source(&self) -> String {
        let options = self.options.known();
        format!("/{}", options.get_database().unwrap_or(options.get_username()))
    }

    fn log_name(&self) -> String {
        let options = self.options.known();
        let database = options.get_database().unwrap_or(options.get_username());
        self.tables.log_name(database)
    }

    async fn forward_wakes(&self, waker: &RelayWaker) -> StoreError {
        let options = match self.options.now().await {
            Ok(options) => options,
            Err(error) => return error,
        };
        let listening = async {
            let mut listener = PgListener::connect_with(&PgPool::connect_lazy_with(options)).await?;
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
