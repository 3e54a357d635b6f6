//! Messages that an operator skips, with a dead letter for each.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::decisions::{Controls, Decision, NewAuditEntry, Pool, in_transaction, record};
use super::interventions;
use crate::store::StoreError;
use crate::store::reader::SKIPPED;

/// A message to skip when the relay reaches it. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkipRequest {
    /// The event's id.
    pub id: Uuid,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl SkipRequest {
    /// `None` for another decision.
    pub(super) fn of(row: interventions::Decided) -> Option<Self> {
        if (row.control.as_str(), row.scope.as_str()) != ("skip", "message") {
            return None;
        }
        Some(Self {
            id: row.name.parse().ok()?,
            since: row.changed_at,
            by: row.changed_by,
            reason: row.reason,
        })
    }
}

impl fmt::Display for SkipRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            since, by, reason, ..
        } = self;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "skipped at {since} by {by}: {reason}")
    }
}

/// Outcome of a request to skip a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// It is in the dead letters with the reason `skipped`.
    Done,
    /// The active relay, or the next one if none is active, dead-letters it when it reaches it.
    Requested,
    /// It was delivered or removed, or there is no message with this id. Nothing is skipped.
    NotWaiting,
}

impl Controls {
    /// Dead-letters a message with the reason `skipped`: a message in the log when the relay reaches it, one
    /// in the dead letters at once. Later messages of its key are sent, also in topics that block. A replay
    /// sends it.
    ///
    /// A message in flight is delivered. [`skipped`](Self::skipped) returns the outcome.
    ///
    /// Cancellation: it is one transaction, which happens as a whole or not at all.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn skip(&self, id: Uuid, decision: &Decision) -> Result<Skip, StoreError> {
        let failed = || StoreError::while_doing("skipping a message");
        self.forget_done_skips().await.map_err(failed())?;
        if self.skip_dead_letters(id, decision).await.map_err(failed())? {
            return Ok(Skip::Done);
        }
        if self.is_skipped(id).await.map_err(failed())? {
            return Ok(Skip::Done);
        }
        if !self.waits(id).await.map_err(failed())? {
            return Ok(Skip::NotWaiting);
        }
        self.request_skip(id, decision).await.map_err(failed())?;
        Ok(Skip::Requested)
    }

    /// The outcome for a message that was to be skipped. A request that came too late is deleted.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn skipped(&self, id: Uuid) -> Result<Skip, StoreError> {
        let failed = || StoreError::while_doing("looking for a message that is to be skipped");
        self.forget_done_skips().await.map_err(failed())?;
        // Before the dead letters: it may be on its way there.
        let waits = self.waits(id).await.map_err(failed())?;
        if self.is_skipped(id).await.map_err(failed())? {
            // The relay may have reached it only just now.
            self.remove_skip(id).await.map_err(failed())?;
            return Ok(Skip::Done);
        }
        if waits {
            return Ok(Skip::Requested);
        }
        self.remove_skip(id).await.map_err(failed())?;
        Ok(Skip::NotWaiting)
    }

    /// Cancels the request to skip a message that the relay has not reached. Returns `false` if there is
    /// none.
    ///
    /// Cancellation: it is one transaction, which happens as a whole or not at all.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn cancel_skip(&self, id: Uuid, decision: &Decision) -> Result<bool, StoreError> {
        let remove = self.removing_a_skip();
        let name = id.to_string();
        let entry = NewAuditEntry {
            action: "skip",
            scope: "message",
            name: &name,
            before: Some("requested"),
            after: None,
        };
        let cancelling: Result<bool, sqlx::Error> = async {
            Ok(in_transaction!(self.pool(), |tx| {
                let query = sqlx::query(AssertSqlSafe(remove)).bind(&name);
                let was_there = query.execute(&mut *tx).await?.rows_affected() > 0;
                if was_there {
                    record!(self, tx, &entry, decision);
                }
                was_there
            }))
        }
        .await;
        cancelling.map_err(StoreError::while_doing("taking back that a message is skipped"))
    }

    /// Lists the messages to skip when the relay reaches them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn skips(&self) -> Result<Vec<SkipRequest>, StoreError> {
        let rows = self.read_all().await?;
        Ok(rows.into_iter().filter_map(SkipRequest::of).collect())
    }

    fn removing_a_skip(&self) -> String {
        let controls = self.tables().controls();
        format!("DELETE FROM {controls} WHERE control = 'skip' AND scope = 'message' AND name = $1")
    }

    async fn remove_skip(&self, id: Uuid) -> Result<(), sqlx::Error> {
        let remove = AssertSqlSafe(self.removing_a_skip());
        match self.pool() {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let query = sqlx::query(remove).bind(id.to_string());
                query.execute(pool).await.map(drop)
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let query = sqlx::query(remove).bind(id.to_string());
                query.execute(pool).await.map(drop)
            }
        }
    }

    /// What relays have done need not be asked of them again.
    async fn forget_done_skips(&self) -> Result<(), sqlx::Error> {
        let (controls, dead_letters) = (self.tables().controls(), self.tables().dead_letters());
        let forget = |id: &str| {
            AssertSqlSafe(format!(
                "DELETE FROM {controls} WHERE control = 'skip' AND EXISTS (
                   SELECT 1 FROM {dead_letters} d WHERE d.id = {id} AND d.reason = '{SKIPPED}')"
            ))
        };
        match self.pool() {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let forget = forget("CASE WHEN control = 'skip' THEN name::uuid END");
                sqlx::query(forget).execute(pool).await.map(drop)
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let forget = forget("name");
                sqlx::query(forget).execute(pool).await.map(drop)
            }
        }
    }

    /// Whether a dead letter of it became one that is skipped.
    async fn skip_dead_letters(&self, id: Uuid, decision: &Decision) -> Result<bool, sqlx::Error> {
        let error = format!("skipped by {}: {}", decision.by(), decision.reason());
        let name = id.to_string();
        let change = |id: &str| {
            format!(
                "UPDATE {} SET state = 'dead', reason = '{SKIPPED}', error = $2, replay_requested_at = NULL
                 WHERE id = {id} AND reason <> '{SKIPPED}'",
                self.tables().dead_letters()
            )
        };
        let change = match self.pool() {
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => change("$1::uuid"),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => change("$1"),
        };
        let entry = NewAuditEntry {
            action: "skip",
            scope: "message",
            name: &name,
            before: Some("set aside"),
            after: Some(SKIPPED),
        };
        Ok(in_transaction!(self.pool(), |tx| {
            let query = sqlx::query(AssertSqlSafe(change)).bind(&name).bind(&error);
            let changed = query.execute(&mut *tx).await?.rows_affected() > 0;
            if changed {
                record!(self, tx, &entry, decision);
            }
            changed
        }))
    }

    async fn request_skip(&self, id: Uuid, decision: &Decision) -> Result<(), sqlx::Error> {
        let put = format!(
            "INSERT INTO {} (control, scope, name, changed_by, reason) VALUES ('skip', 'message', $1, $2, $3)
             ON CONFLICT (control, scope, name) DO NOTHING",
            self.tables().controls()
        );
        let name = id.to_string();
        let entry = NewAuditEntry {
            action: "skip",
            scope: "message",
            name: &name,
            before: None,
            after: Some("requested"),
        };
        in_transaction!(self.pool(), |tx| {
            let query = sqlx::query(AssertSqlSafe(put)).bind(&name);
            let query = query.bind(decision.by()).bind(decision.reason());
            if query.execute(&mut *tx).await?.rows_affected() > 0 {
                record!(self, tx, &entry, decision);
            }
        });
        Ok(())
    }

    async fn is_skipped(&self, id: Uuid) -> Result<bool, sqlx::Error> {
        let look = |id: &str| {
            AssertSqlSafe(format!(
                "SELECT EXISTS (SELECT 1 FROM {} WHERE id = {id} AND reason = '{SKIPPED}')",
                self.tables().dead_letters()
            ))
        };
        match self.pool() {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let query = sqlx::query_scalar(look("$1::uuid")).bind(id.to_string());
                query.fetch_one(pool).await
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let query = sqlx::query_scalar(look("$1")).bind(id.to_string());
                query.fetch_one(pool).await
            }
        }
    }

    /// Whether a message of this id is in the log and not settled, as far as the cursor in the database says.
    async fn waits(&self, id: Uuid) -> Result<bool, sqlx::Error> {
        let (messages, cursor) = (self.tables().messages(), self.tables().cursor());
        match self.pool() {
            // What the first search leaves out is seen by the cursor's snapshot, unless its transaction is younger than the
            // snapshot's oldest.
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let is_settled =
                    "coalesce(m.seq <= c.position AND pg_visible_in_snapshot(m.xid, c.to_snapshot), false)";
                let look = AssertSqlSafe(format!(
                    "SELECT EXISTS (SELECT FROM {cursor} c, {messages} m
                       WHERE m.seq > (SELECT CASE WHEN from_snapshot IS NULL THEN 0 ELSE high END FROM {cursor})
                         AND m.id = $1::uuid AND NOT {is_settled})
                     OR EXISTS (SELECT FROM {cursor} c, {messages} m
                       WHERE m.xid >= (SELECT coalesce(pg_snapshot_xmin(from_snapshot), '0') FROM {cursor})
                         AND m.id = $1::uuid AND NOT coalesce(pg_visible_in_snapshot(m.xid, c.from_snapshot), false)
                         AND NOT {is_settled})"
                ));
                sqlx::query_scalar(look)
                    .bind(id.to_string())
                    .fetch_one(pool)
                    .await
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                let look = AssertSqlSafe(format!(
                    "SELECT EXISTS (SELECT 1 FROM {messages} WHERE seq > (SELECT high FROM {cursor}) AND id = $1)"
                ));
                sqlx::query_scalar(look)
                    .bind(id.to_string())
                    .fetch_one(pool)
                    .await
            }
        }
    }
}
