//! The shop's database: SQLite or PostgreSQL. A service that knows its database needs none of this.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use outbox_runtime::schema::SchemaDatabase;
use outbox_runtime::store::Store;
use outbox_runtime::{OutboxDatabase, PostgresStore, SqliteStore, Tables};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Pool, Postgres, Sqlite, SqlitePool};
use tempfile::TempDir;
use uuid::Uuid;

use crate::shop::Order;

/// The shop's statements, and the outbox's log in the same database.
pub(crate) trait ShopDatabase: OutboxDatabase + SchemaDatabase {
    /// How the relay reads it.
    type Store: Store + Clone;

    fn store(pool: &Pool<Self>, tables: &Tables) -> Self::Store;

    fn create_table(pool: &Pool<Self>) -> impl Future<Output = sqlx::Result<()>> + Send;

    fn insert_order(
        connection: &mut Self::Connection,
        order: &Order,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    fn mark_paid(
        connection: &mut Self::Connection,
        order: Uuid,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// The same SQL for both; sqlx binds it per database.
macro_rules! shop_database {
    ($($database:ty => $store:ty),*) => {$(
        impl ShopDatabase for $database {
            type Store = $store;

            fn store(pool: &Pool<Self>, tables: &Tables) -> Self::Store {
                <$store>::new(pool).tables(tables)
            }

            async fn create_table(pool: &Pool<Self>) -> sqlx::Result<()> {
                let sql = "CREATE TABLE IF NOT EXISTS quickstart_orders (
                    id TEXT PRIMARY KEY, customer TEXT NOT NULL, total_cents BIGINT NOT NULL,
                    paid BOOLEAN NOT NULL DEFAULT FALSE)";
                sqlx::query(sql).execute(pool).await.map(drop)
            }

            async fn insert_order(connection: &mut Self::Connection, order: &Order) -> sqlx::Result<()> {
                sqlx::query("INSERT INTO quickstart_orders (id, customer, total_cents) VALUES ($1, $2, $3)")
                    .bind(order.id.to_string())
                    .bind(&order.customer)
                    .bind(order.total_cents)
                    .execute(connection)
                    .await
                    .map(drop)
            }

            async fn mark_paid(connection: &mut Self::Connection, order: Uuid) -> sqlx::Result<()> {
                sqlx::query("UPDATE quickstart_orders SET paid = TRUE WHERE id = $1")
                    .bind(order.to_string())
                    .execute(connection)
                    .await
                    .map(drop)
            }
        }
    )*};
}

shop_database!(Sqlite => SqliteStore, Postgres => PostgresStore);

/// An open database.
pub(crate) enum Database {
    Sqlite {
        pool: SqlitePool,
        /// Goes away with this value, and the file in it.
        _folder: Option<TempDir>,
    },
    Postgres(PgPool),
}

impl Database {
    /// Opens the database that `url` names, or a new SQLite file in a temporary folder.
    pub(crate) async fn open(url: Option<&str>, connections: u32) -> Result<Self> {
        match url {
            None => {
                let folder = tempfile::tempdir().context("a temporary folder cannot be made")?;
                let options = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
                Ok(Self::Sqlite {
                    pool: sqlite(options, connections).await?,
                    _folder: Some(folder),
                })
            }
            Some(url) if url.starts_with("sqlite:") => {
                let options =
                    SqliteConnectOptions::from_str(url).context("the database URL cannot be read")?;
                Ok(Self::Sqlite {
                    pool: sqlite(options, connections).await?,
                    _folder: None,
                })
            }
            Some(url) if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
                // A pool would try again for long, and forget why.
                let reached = PgConnection::connect(url).await;
                let reached = reached.context("the PostgreSQL database cannot be reached")?;
                reached.close().await?;
                let pool = PgPoolOptions::new().max_connections(connections);
                Ok(Self::Postgres(pool.connect(url).await?))
            }
            Some(_) => {
                bail!("write --database-url as postgres://user:password@host:port/name or sqlite:path")
            }
        }
    }
}

async fn sqlite(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool> {
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(connections);
    pool.connect_with(options)
        .await
        .context("the SQLite database cannot be opened")
}

/// Makes the outbox's tables and the shop's.
pub(crate) async fn prepare<DB: ShopDatabase>(pool: &Pool<DB>, tables: &Tables) -> Result<()> {
    outbox_runtime::migrate(pool, tables)
        .await
        .context("the outbox's tables cannot be made")?;
    DB::create_table(pool)
        .await
        .context("the table of orders cannot be made")
}
