//! The databases that the write path knows, and all of its SQL.

#[cfg(any(
    feature = "postgres",
    feature = "sqlite",
    feature = "diesel",
    feature = "tokio-postgres",
    feature = "sea-orm"
))]
pub(crate) mod chunks;
pub(crate) mod columns;
mod inbox;
mod isolation;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub(crate) use postgres::outcome;

pub(crate) use inbox::{InboxBackend, InboxStatements};
pub use isolation::Isolation;

use futures_util::future::BoxFuture;

use crate::message::OutboxMessage;
use crate::schema::Tables;

/// A database that outbox messages can be written to: PostgreSQL (feature `postgres`) or SQLite (feature
/// `sqlite`). Sealed, because each database has its own SQL.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no database of the outbox",
    label = "write `Postgres` or `Sqlite` here",
    note = "`sqlx::Postgres` needs the feature `postgres` of outbox-runtime, `sqlx::Sqlite` the feature `sqlite`"
)]
pub trait OutboxDatabase: Backend + InboxBackend {}

/// Outcome of a transaction whose COMMIT was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// It committed, with all its events.
    Committed,
    /// It rolled back.
    RolledBack,
    /// The server is still processing it. Ask again.
    InProgress,
    /// The server does not know the transaction: it is too old, or the server lost it by a fail-over or by
    /// the restore of a backup.
    Unknown,
}

/// The database operations of the write path.
pub trait Backend: sqlx::Database {
    /// Whether the database may end a transaction by itself, so that an insert would be one of its own.
    const ENDS_BY_ITSELF: bool;

    /// How many transactions one task can have open at a time before it would wait for itself.
    fn transactions_at_once(pool: &sqlx::Pool<Self>) -> usize;

    /// A number that is the same for all clones of a pool, and that no other living pool has.
    fn identity(pool: &sqlx::Pool<Self>) -> usize;

    /// The name of the database, for people.
    fn database_name(pool: &sqlx::Pool<Self>) -> String;

    /// The statement that begins a transaction.
    fn begin(isolation: Option<Isolation>) -> &'static str;

    /// The statements for these tables.
    fn statements(tables: &Tables) -> Statements;

    /// Inserts `messages` in their order; on PostgreSQL the transaction's id comes back. `RowNotFound` if some were not
    /// inserted and the database said nothing of it, as where a trigger leaves them out.
    fn insert<'a>(
        connection: &'a mut Self::Connection,
        statements: &'a Statements,
        messages: &'a [OutboxMessage],
    ) -> BoxFuture<'a, Result<Option<u64>, sqlx::Error>>;

    /// Finds out, before COMMIT, whether the transaction can be committed at all; on PostgreSQL its id comes
    /// back, if it has one by now. If it has ended, a new and empty one is open afterwards, for sqlx to roll back.
    fn verify(connection: &mut Self::Connection) -> BoxFuture<'_, Result<TransactionStatus, sqlx::Error>>;

    /// Runs a statement that takes and returns nothing.
    fn run<'a>(
        connection: &'a mut Self::Connection,
        sql: &'static str,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    /// The isolation of the transaction that is open.
    fn isolation(connection: &mut Self::Connection) -> BoxFuture<'_, Result<Isolation, sqlx::Error>>;

    /// Whether this error says that the transaction had been aborted by an earlier one.
    fn is_aborted(error: &sqlx::Error) -> bool;

    /// Whether this answer to COMMIT proves that nothing was committed.
    fn is_rolled_back(error: &sqlx::Error) -> bool;
}

/// State of a transaction that a handler had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// It can be committed; with its id, if it has one.
    Open(Option<u64>),
    /// It is no longer there: the handler ended it.
    Ended,
}

/// The statements of the write path for one set of tables.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "without a database nobody runs them")
)]
pub struct Statements {
    /// Inserts one message; every column is a parameter.
    pub(crate) insert_one: String,
    /// What comes before the rows of a larger insert.
    pub(crate) insert_many: String,
    /// What the inbox needs.
    pub(crate) inbox: InboxStatements,
}
