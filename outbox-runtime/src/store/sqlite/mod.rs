//! The log in a SQLite database. There is one writer at a time, so `seq` is the order of commits and the cursor
//! is a number.

mod dead_letters;
mod decode;
mod inspect;
mod lease;
mod observe;
mod prune;
mod reader;
mod relocate;
#[cfg(feature = "metrics")]
mod sample;
mod sql;
mod tail;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Sqlite, SqlitePool};
use uuid::Uuid;

use self::lease::SqliteLease;
use self::prune::SqlitePruning;
use self::reader::SqliteReader;
use self::relocate::relocate;
use self::sql::Sql;
pub(crate) use self::tail::SqliteTail;
use super::{
    Adopt, Backlog, Fence, Fork, LeaseStatus, Pruning, Relocated, Store, StoreError, StoreStatus, TailFrom,
};
use crate::delivery_mode::DeliveryMode;
use crate::schema::check_schema;
use crate::{RelayWaker, Tables};

/// The log of messages in a SQLite database.
///
/// It borrows a connection from the pool for one statement at a time, so a pool of one connection suffices
/// and an in-memory database works.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    tables: Arc<Tables>,
    sql: Arc<Sql>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Creates a store for the database of `pool`.
    pub fn new(pool: &SqlitePool) -> Self {
        let tables = Tables::default();
        Self {
            pool: pool.clone(),
            sql: Arc::new(Sql::new(&tables)),
            tables: Arc::new(tables),
        }
    }

    /// Sets the names of the tables.
    #[must_use]
    pub fn tables(self, tables: &Tables) -> Self {
        Self {
            tables: Arc::new(tables.clone()),
            sql: Arc::new(Sql::new(tables)),
            ..self
        }
    }
}

impl SqliteStore {
    /// Recreates lost rows of the cursor and the lease. A log in SQLite may be moved freely, so there is
    /// nothing else to do.
    ///
    /// # Errors
    /// [`StoreErrorKind::Undecided`](super::StoreErrorKind::Undecided) if only an operator can decide which
    /// messages were delivered; else an error of the database. Nothing was changed then.
    pub async fn adopt(&self, adopt: Adopt) -> Result<Relocated, StoreError> {
        relocate(&self.pool, &self.tables, relocate::Order::Adopt(adopt)).await
    }

    /// Separates a copied log from its original, so that it does not send messages that the original sends.
    ///
    /// # Errors
    /// [`StoreErrorKind::Undecided`](super::StoreErrorKind::Undecided) without [`Fork::physical_copy`], because nothing
    /// distinguishes a copied file from its original; else as [`adopt`](Self::adopt).
    pub async fn fork(&self, fork: Fork) -> Result<Relocated, StoreError> {
        relocate(&self.pool, &self.tables, relocate::Order::Fork(fork)).await
    }
}

impl SqliteStore {
    /// Follows the log: see [`Outbox::tail`](crate::Outbox::tail).
    pub(crate) async fn tail(&self, from: TailFrom) -> Result<SqliteTail, StoreError> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(StoreError::while_doing("opening the database"))?;
        check_schema::<Sqlite>(&mut connection, &self.tables).await?;
        drop(connection);
        SqliteTail::open(self.pool.clone(), &self.tables, Arc::clone(&self.sql), from).await
    }
}

impl Store for SqliteStore {
    type Lease = SqliteLease;
    type Reader = SqliteReader;

    async fn open_lease(&self) -> Result<SqliteLease, StoreError> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(StoreError::while_doing("opening the database"))?;
        check_schema::<Sqlite>(&mut connection, &self.tables).await?;
        Ok(SqliteLease::new(
            self.pool.clone(),
            Arc::clone(&self.tables),
            Arc::clone(&self.sql),
        ))
    }

    async fn open_reader_after(
        &self,
        fence: Fence,
        earlier: Option<Uuid>,
    ) -> Result<SqliteReader, StoreError> {
        let sql = Arc::clone(&self.sql);
        SqliteReader::open(self.pool.clone(), &self.tables, sql, fence, earlier).await
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        type Row = (Option<String>, i64, Option<f64>, i64, i64, i64, i64, Option<f64>);
        let doing = "reading the log's state";
        let row: Option<Row> = sqlx::query_as(self.sql.status.text())
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing(doing))?;
        let Some((holder, epoch, silent_for, ttl_ms, dead, parked, backlog, oldest)) = row else {
            let has_cursor: bool = sqlx::query_scalar(self.sql.has_cursor.text())
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::while_doing(doing))?;
            return Err(match has_cursor {
                true => StoreError::lost_lease(&self.tables),
                false => StoreError::lost_cursor(&self.tables),
            });
        };
        let seconds = |value: f64| Duration::try_from_secs_f64(value).unwrap_or_default();
        let silent_for = seconds(silent_for.unwrap_or(0.0));
        let alive = silent_for <= Duration::from_millis(ttl_ms.unsigned_abs());
        Ok(StoreStatus {
            backlog: Backlog {
                messages: backlog.unsigned_abs(),
                exact: true,
                oldest_age: oldest.map(seconds),
            },
            lease: holder.filter(|_| alive).map(|holder| LeaseStatus {
                holder,
                epoch,
                age: silent_for,
            }),
            dead: dead.unsigned_abs(),
            parked: parked.unsigned_abs(),
            delivery: DeliveryMode::AtLeastOnce,
        })
    }

    fn default_source(&self) -> String {
        let options = self.pool.connect_options();
        let name = options
            .get_filename()
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        format!("/{}", name.unwrap_or_default())
    }

    async fn open_pruning(&self) -> Result<Box<dyn Pruning>, StoreError> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(StoreError::while_doing("opening the database"))?;
        check_schema::<Sqlite>(&mut connection, &self.tables).await?;
        let pruning = SqlitePruning::new(self.pool.clone(), &self.tables, Arc::clone(&self.sql));
        Ok(Box::new(pruning))
    }

    fn log_name(&self) -> String {
        self.tables
            .log_name(self.default_source().trim_start_matches('/'))
    }

    /// SQLite has no signals between processes: rows of other processes are found by polling.
    async fn forward_wakes(&self, _waker: &RelayWaker) -> StoreError {
        std::future::pending().await
    }
}
