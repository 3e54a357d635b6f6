//! The decisions of operators: made, listed, and recorded in the audit table.

#[cfg(feature = "postgres")]
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::interventions::{self, Columns, Decided};
#[cfg(feature = "postgres")]
use super::modes::{self, ModeOutlook, Switch, SwitchError};
use super::pauses::{Pause, PauseScope};
use crate::Tables;
use crate::modes::ModeSetting;
#[cfg(feature = "postgres")]
use crate::modes::{Mode, ModeScope};
use crate::store::StoreError;

/// The decisions of operators about one log.
///
/// A decision is a row. Running relays poll for it twice per second.
///
/// ```no_run
/// # async fn example(pool: sqlx::SqlitePool) -> Result<(), outbox_runtime::store::StoreError> {
/// use outbox_runtime::Tables;
/// use outbox_runtime::store::{Controls, Decision, PauseScope};
///
/// let controls = Controls::in_sqlite(&pool, &Tables::default());
/// let orders = PauseScope::Topic("orders".to_owned());
/// controls.pause(&orders, &Decision::new("ana", "the consumer is being replaced")).await?;
/// controls.resume(&orders, &Decision::new("ana", "done")).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Controls {
    pool: Pool,
    tables: Tables,
}

#[derive(Debug, Clone)]
pub(super) enum Pool {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
}

/// Who made a decision, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    by: String,
    reason: String,
}

impl Decision {
    /// A decision of `by`, a readable name.
    pub fn new(by: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            by: by.into(),
            reason: reason.into(),
        }
    }
}

impl Decision {
    pub(super) fn by(&self) -> &str {
        &self.by
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// A row of the audit table. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// The number of the entry.
    pub seq: i64,
    /// The time of the decision.
    pub at: DateTime<Utc>,
    /// The action: `pause`, `resume`, `skip`, `throttle`, `rewind` or `mode`.
    pub action: String,
    /// The scope: `log`, `topic`, `key` or `message`; a mode also to an `aggregate` or `event_type`.
    pub scope: String,
    /// The name of the scope; empty for the log. For a key, `topic/key`, or `/key` for all topics.
    pub name: String,
    /// The value before; `None` if there was none.
    pub before: Option<String>,
    /// The value since then; `None` if there is none.
    pub after: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is written into the audit table.
pub(super) struct NewAuditEntry<'a> {
    pub(super) action: &'static str,
    pub(super) scope: &'static str,
    pub(super) name: &'a str,
    pub(super) before: Option<&'a str>,
    pub(super) after: Option<&'a str>,
}

/// Runs statements in one transaction on whichever database it is. The macro's arms differ in the driver's types only.
macro_rules! in_transaction {
    ($pool:expr, |$tx:ident| $run:expr) => {
        match $pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let mut $tx = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
                let done = $run;
                $tx.commit().await?;
                done
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let done = $run;
                $tx.commit().await?;
                done
            }
        }
    };
}

/// Writes a decision into the audit table.
macro_rules! record {
    ($controls:expr, $tx:expr, $entry:expr, $decision:expr) => {{
        let (entry, decision): (&NewAuditEntry<'_>, &Decision) = ($entry, $decision);
        let sql = format!(
            "INSERT INTO {} (action, scope, name, before, after, done_by, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            $controls.tables().audit()
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(entry.action)
            .bind(entry.scope)
            .bind(entry.name)
            .bind(entry.before)
            .bind(entry.after)
            .bind(decision.by())
            .bind(decision.reason())
            .execute(&mut *$tx)
            .await?
    }};
}

pub(super) use {in_transaction, record};

impl Controls {
    /// Decisions about a log in a PostgreSQL database.
    #[cfg(feature = "postgres")]
    pub fn in_postgres(pool: &sqlx::PgPool, tables: &Tables) -> Self {
        Self::new(Pool::Postgres(pool.clone()), tables)
    }

    /// Decisions about a log in a SQLite database.
    #[cfg(feature = "sqlite")]
    pub fn in_sqlite(pool: &sqlx::SqlitePool, tables: &Tables) -> Self {
        Self::new(Pool::Sqlite(pool.clone()), tables)
    }

    fn new(pool: Pool, tables: &Tables) -> Self {
        Self {
            pool,
            tables: tables.clone(),
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Pauses the log, a topic or a key. Running relays apply it within a second: records in flight are settled, and
    /// later ones wait in order. Returns `false` and changes nothing if it is paused already.
    ///
    /// Cancellation: it is one transaction, which happens as a whole or not at all.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn pause(&self, scope: &PauseScope, decision: &Decision) -> Result<bool, StoreError> {
        let (word, name) = scope.stored();
        let put = format!(
            "INSERT INTO {} (control, scope, name, changed_by, reason) VALUES ('pause', $1, $2, $3, $4)
             ON CONFLICT (control, scope, name) DO NOTHING",
            self.tables.controls()
        );
        let entry = NewAuditEntry {
            action: "pause",
            scope: word,
            name: &name,
            before: None,
            after: Some("paused"),
        };
        let pausing: Result<bool, sqlx::Error> = async {
            Ok(in_transaction!(&self.pool, |tx| {
                let query = sqlx::query(AssertSqlSafe(put)).bind(word).bind(&*name);
                let query = query.bind(&decision.by).bind(&decision.reason);
                let is_new = query.execute(&mut *tx).await?.rows_affected() > 0;
                if is_new {
                    record!(self, tx, &entry, decision);
                }
                is_new
            }))
        }
        .await;
        pausing.map_err(StoreError::while_doing("pausing"))
    }

    /// Ends a pause. The waiting records are sent first, in order. Returns `false` if it is not paused.
    ///
    /// Cancellation: it is one transaction, which happens as a whole or not at all.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn resume(&self, scope: &PauseScope, decision: &Decision) -> Result<bool, StoreError> {
        let (word, name) = scope.stored();
        let remove = format!(
            "DELETE FROM {} WHERE control = 'pause' AND scope = $1 AND name = $2",
            self.tables.controls()
        );
        let entry = NewAuditEntry {
            action: "resume",
            scope: word,
            name: &name,
            before: Some("paused"),
            after: None,
        };
        let resuming: Result<bool, sqlx::Error> = async {
            Ok(in_transaction!(&self.pool, |tx| {
                let query = sqlx::query(AssertSqlSafe(remove)).bind(word).bind(&*name);
                let was_paused = query.execute(&mut *tx).await?.rows_affected() > 0;
                if was_paused {
                    record!(self, tx, &entry, decision);
                }
                was_paused
            }))
        }
        .await;
        resuming.map_err(StoreError::while_doing("resuming"))
    }

    /// Lists the pauses: the log first, then the topics by name, then the keys.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.read_all().await?.into_iter().filter_map(Pause::of).collect())
    }

    /// Every decision that is in force.
    pub(super) async fn read_all(&self) -> Result<Vec<Decided>, StoreError> {
        let sql = AssertSqlSafe(interventions::list(&self.tables.controls()));
        let rows: Result<Vec<Columns>, sqlx::Error> = match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => sqlx::query_as(sql).fetch_all(pool).await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => sqlx::query_as(sql).fetch_all(pool).await,
        };
        let rows = rows.map_err(StoreError::while_doing("reading what operators have decided"))?;
        Ok(rows.into_iter().map(Decided::from).collect())
    }

    /// Lists the modes that are set or were removed, the log's first. Empty for SQLite, which has no modes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn modes(&self) -> Result<Vec<ModeSetting>, StoreError> {
        match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => modes::list(pool, &self.tables).await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Ok(Vec::new()),
        }
    }

    /// Sets the mode of a scope, or removes it with `None`. Returns `false` and changes nothing if it is set already.
    ///
    /// Writers with modes apply it with their next commit. To keep the order of each key, it waits for at
    /// most `timeout` until the log is delivered, or until events that are not sent through the log are
    /// acknowledged. Writers wait for the last part of that, normally several hundred milliseconds.
    ///
    /// Cancellation: the mode is changed as a whole or not at all.
    ///
    /// # Errors
    /// [`SwitchError::Refused`] if that takes longer or is impossible; the database's errors.
    #[cfg(feature = "postgres")]
    pub async fn set_mode(
        &self,
        scope: &ModeScope,
        mode: Option<Mode>,
        decision: &Decision,
        timeout: Duration,
    ) -> Result<bool, SwitchError> {
        self.switch(scope, mode)?.run(decision, timeout).await
    }

    /// Returns what [`set_mode`](Self::set_mode) would find, without changing anything.
    ///
    /// # Errors
    /// The database cannot be read.
    #[cfg(feature = "postgres")]
    pub async fn mode_outlook(
        &self,
        scope: &ModeScope,
        mode: Option<Mode>,
    ) -> Result<ModeOutlook, SwitchError> {
        self.switch(scope, mode)?.outlook().await
    }

    #[cfg(feature = "postgres")]
    fn switch<'a>(&'a self, scope: &'a ModeScope, mode: Option<Mode>) -> Result<Switch<'a>, SwitchError> {
        match &self.pool {
            Pool::Postgres(pool) => Ok(Switch {
                pool,
                tables: &self.tables,
                scope,
                mode,
            }),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Err(SwitchError::Unsupported),
        }
    }

    /// The last `limit` decisions, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        type Row = (
            i64,
            DateTime<Utc>,
            String,
            String,
            String,
            Option<String>,
            Option<String>,
            String,
            String,
        );
        let sql = AssertSqlSafe(format!(
            "SELECT seq, at, action, scope, name, before, after, done_by, reason FROM {} ORDER BY seq DESC LIMIT $1",
            self.tables.audit()
        ));
        let limit = i64::from(limit);
        let rows: Result<Vec<Row>, sqlx::Error> = match &self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => sqlx::query_as(sql).bind(limit).fetch_all(pool).await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => sqlx::query_as(sql).bind(limit).fetch_all(pool).await,
        };
        let rows = rows.map_err(StoreError::while_doing("reading the audit table"))?;
        let entry = |(seq, at, action, scope, name, before, after, by, reason): Row| AuditEntry {
            seq,
            at,
            action,
            scope,
            name,
            before,
            after,
            by,
            reason,
        };
        Ok(rows.into_iter().map(entry).collect())
    }
}
