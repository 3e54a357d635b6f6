//! Follows a log as messages are committed, independently of the relays, without writing to the database.

mod database;

use std::collections::HashMap;

pub use database::TailDatabase;

use crate::Outbox;
use crate::record::RecordPage;
#[cfg(feature = "postgres")]
use crate::store::PostgresTail;
#[cfg(feature = "sqlite")]
use crate::store::SqliteTail;
pub use crate::store::TailFrom;
use crate::store::{PageLimit, StoreError};

/// A page is printed, or looked through: it need not be large.
const LIMIT: PageLimit = PageLimit {
    rows: 500,
    bytes: 4 << 20,
};

/// Follows a log, and returns every committed message once.
///
/// It takes no lease and writes nothing, so any number may run at the same time as relays.
///
/// **Order.** A transaction's messages are returned in the order in which they were emitted. If a transaction
/// had committed before another one inserted its messages, the messages of the first are returned first.
/// Therefore the messages of a key are returned in the order in which a relay sends them. Concurrent
/// transactions have no order. Messages that were committed before the start are returned in the order of
/// their `seq`.
pub struct LogTail {
    followed: Followed,
}

enum Followed {
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresTail>),
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteTail),
}

impl std::fmt::Debug for LogTail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LogTail").finish_non_exhaustive()
    }
}

impl LogTail {
    #[cfg(feature = "postgres")]
    fn postgres(tail: PostgresTail) -> Self {
        Self {
            followed: Followed::Postgres(Box::new(tail)),
        }
    }

    #[cfg(feature = "sqlite")]
    fn sqlite(tail: SqliteTail) -> Self {
        Self {
            followed: Followed::Sqlite(tail),
        }
    }

    /// Returns the next messages, at most 500; `None` if there are none now. Wait before the next call.
    ///
    /// Not cancel safe: messages of a call that was dropped are not returned again.
    ///
    /// # Errors
    /// The database cannot be read. This tail has then ended. To continue, start a new [`Outbox::tail`] from
    /// a `seq`.
    pub async fn next_page(&mut self) -> Result<Option<RecordPage>, StoreError> {
        match &mut self.followed {
            #[cfg(feature = "postgres")]
            Followed::Postgres(tail) => tail.next_page(LIMIT).await,
            #[cfg(feature = "sqlite")]
            Followed::Sqlite(tail) => tail.next_page(LIMIT).await,
        }
    }

    /// The aggregate types of a page's messages, by `seq`. Messages that were pruned meanwhile are missing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn aggregate_types(&mut self, page: &RecordPage) -> Result<HashMap<i64, String>, StoreError> {
        let rows: Vec<i64> = page.iter().map(|record| record.seq).collect();
        match &mut self.followed {
            #[cfg(feature = "postgres")]
            Followed::Postgres(tail) => tail.aggregate_types(&rows).await,
            #[cfg(feature = "sqlite")]
            Followed::Sqlite(tail) => tail.aggregate_types(&rows).await,
        }
    }
}

impl<DB: TailDatabase> Outbox<DB> {
    /// Follows the log from this position.
    ///
    /// ```no_run
    /// # async fn example(outbox: outbox_runtime::Outbox<sqlx::Sqlite>) -> Result<(), Box<dyn std::error::Error>> {
    /// use outbox_runtime::tail::TailFrom;
    ///
    /// let mut tail = outbox.tail(TailFrom::Now).await?;
    /// loop {
    ///     match tail.next_page().await? {
    ///         Some(page) => page.iter().for_each(|record| println!("{} {}", record.topic, record.key)),
    ///         None => tokio::time::sleep(std::time::Duration::from_millis(250)).await,
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// In PostgreSQL, it opens a separate connection with the options of the pool; the connection's role
    /// needs the rights of [`Role::Reader`](crate::schema::Role::Reader).
    ///
    /// # Errors
    /// The role may not read the tables, they have another version, or the database is a standby, whose
    /// snapshots do not contain the running transactions.
    pub async fn tail(&self, from: TailFrom) -> Result<LogTail, StoreError> {
        DB::tail(self.pool(), self.tables(), from).await
    }
}
