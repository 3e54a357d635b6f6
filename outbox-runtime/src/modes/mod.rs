//! How events reach Kafka: through the log, directly after the commit, or in parallel with the service's own
//! publishing.

#[cfg(all(feature = "postgres", feature = "toml"))]
mod file;
#[cfg(feature = "postgres")]
mod following;
#[cfg(feature = "postgres")]
mod in_flight;
#[cfg(feature = "postgres")]
mod options;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod record;
#[cfg(feature = "postgres")]
mod sender;
#[cfg(feature = "postgres")]
mod sql;
mod table;
mod values;

#[cfg(all(feature = "postgres", feature = "toml"))]
pub use file::DefaultModeError;
#[cfg(feature = "postgres")]
pub use options::Modes;
pub use values::{Direct, Lost, Mode, ModeScope, ModeSetting, ShadowTarget, UnknownMode};

#[cfg(feature = "postgres")]
pub(crate) use postgres::PostgresModes;
#[cfg(feature = "postgres")]
pub(crate) use sql::ModeSql;
pub(crate) use table::{InForce, SendLocks};

use std::fmt;

use futures_util::future::BoxFuture;

use crate::message::OutboxMessage;

/// Ends when it is dropped: until then no switch out of the mode happens.
pub(crate) type Held = Box<dyn Send + Sync>;

/// What a transaction needs of the modes of its outbox.
pub(crate) trait TransactionModes<DB: sqlx::Database>: fmt::Debug + Send + Sync {
    /// Keeps the modes as they are until the transaction ends, and says how they are.
    fn hold<'a>(
        &'a self,
        connection: &'a mut DB::Connection,
    ) -> BoxFuture<'a, Result<std::sync::Arc<InForce>, sqlx::Error>>;

    /// Makes a switch, and others that send records of these keys directly, wait until [`unlock`](Self::unlock). Outlives
    /// the transaction.
    fn lock<'a>(
        &'a self,
        connection: &'a mut DB::Connection,
        locks: &'a SendLocks,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    /// Reverts [`lock`](Self::lock). `false` if the session did not hold the locks: a pooler is in between.
    fn unlock<'a>(
        &'a self,
        connection: &'a mut DB::Connection,
        locks: &'a SendLocks,
    ) -> BoxFuture<'a, Result<bool, sqlx::Error>>;

    /// Sends messages, in their order, and says what became of them.
    fn send(&self, messages: Vec<OutboxMessage>) -> BoxFuture<'static, Direct>;

    /// Where the messages of a shadow go.
    fn shadow(&self) -> &ShadowTarget;

    /// Keeps the modes of the whole log from being changed from now on; to be called in a transaction that
    /// [holds](Self::hold) them.
    fn in_flight(&self) -> BoxFuture<'static, Result<Held, sqlx::Error>>;
}
