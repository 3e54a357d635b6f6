//! Moving the cursor back, so that delivered messages are sent again.
//!
//! In PostgreSQL only a bound on `seq` is lowered, and the snapshots stay: in the window that is being worked off its
//! position, and before it the cursor's bound. All rows above that bound are read as new ones then, and those below it that
//! the cursor has not passed come as late ones, as before. Who deletes messages goes by both, so nothing is deleted that is
//! sent again. The reader of the active relay may not write any more; the next one begins at the cursor.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::decisions::{Controls, Decision, NewAuditEntry, Pool, in_transaction, record};
use crate::store::StoreError;
#[cfg(feature = "postgres")]
use crate::store::{PostgresStore, Store as _};

/// The first message to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RewindTo {
    /// From the message with this `seq` on.
    Seq(i64),
    /// From the first message, in the order of `seq`, that occurred at this time or later.
    Time(DateTime<Utc>),
}

/// The messages that a rewind sends again. Its JSON is a stable format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RewindOutlook {
    /// The `seq` of the first message; `None` if there is none to send again.
    pub from_seq: Option<i64>,
    /// The time at which it occurred.
    pub from_time: Option<DateTime<Utc>>,
    /// Messages that the cursor has passed and that are sent again.
    pub messages: u64,
    /// Number of them that are in the dead letters, which are sent, too.
    pub dead_letters: u64,
    /// Numbers in between without a message: its transaction was rolled back, or it was deleted.
    pub missing: u64,
}

/// The reason why nothing was rewound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// Messages from there on were deleted.
    #[error("{}", too_far(.oldest))]
    TooFar {
        /// The oldest message to which a rewind can go: `seq`, and when it occurred. `None` if there is none. Parked
        /// messages with a higher `seq` are all in the log.
        oldest: Option<(i64, DateTime<Utc>)>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn too_far(oldest: &Option<(i64, DateTime<Utc>)>) -> String {
    match oldest {
        Some((seq, time)) => format!(
            "the log does not go back so far: the oldest message that can be sent again has the seq {seq} and occurred at {}. \
             Older ones were deleted or never there, or parked messages behind them were deleted from the log; rewind \
             to it with --to-seq {seq}",
            time.to_rfc3339_opts(SecondsFormat::Millis, true)
        ),
        None => "the log has no messages: all were deleted, or there were none".to_owned(),
    }
}

/// `seq` of the oldest message to which a rewind can go, and when it occurred.
type Oldest = Option<(i64, DateTime<Utc>)>;

/// How far the cursor is, messages that are sent again, messages in between, and dead letters.
type Counted = Option<(i64, i64, i64, i64)>;

/// The statements, as a database writes them.
struct Statements {
    lock: String,
    oldest: String,
    first_since: String,
    first_from: String,
    count: String,
    change: String,
    unpark: String,
}

impl Statements {
    fn new(controls: &Controls) -> Self {
        let tables = controls.tables();
        let (messages, cursor) = (tables.messages(), tables.cursor());
        let dead_letters = tables.dead_letters();
        let (lock, count, change) = match controls.pool() {
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => (
                // It waits for a pruner's step, and keeps the next one out.
                format!("SELECT 1 FROM {cursor} FOR UPDATE"),
                count_in_postgres(&messages, &cursor, &dead_letters),
                format!(
                    "UPDATE {cursor} SET {IN_WINDOW_KEPT},
                       generation = NULL, reader = NULL, updated_at = now()"
                ),
            ),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => (
                format!("SELECT 1 FROM {cursor}"),
                format!(
                    "SELECT c.high, (SELECT count(*) FROM {messages} WHERE seq >= $1 AND seq <= c.high),
                       (SELECT count(*) FROM {messages} WHERE seq >= $1 AND seq <= c.high),
                       (SELECT count(*) FROM {dead_letters} WHERE seq >= $1 AND seq <= c.high)
                     FROM {cursor} c"
                ),
                // The relay that holds the lease may claim the cursor anew, and nobody else.
                format!(
                    "UPDATE {cursor} SET high = min(high, $1 - 1), epoch = max(epoch - 1, 0), token = NULL"
                ),
            ),
        };
        Self {
            lock,
            // Parked messages that were deleted from the log keep their places. What is older would come behind them.
            oldest: format!(
                "SELECT seq, occurred_at FROM {messages} WHERE seq > coalesce((
                   SELECT max(d.seq) FROM {dead_letters} d WHERE d.state = 'parked' AND NOT EXISTS (
                     SELECT 1 FROM {messages} m WHERE m.seq = d.seq AND m.id = d.id)), 0)
                 ORDER BY seq LIMIT 1"
            ),
            first_since: format!("SELECT seq FROM {messages} WHERE occurred_at >= $1 ORDER BY seq LIMIT 1"),
            first_from: format!(
                "SELECT seq, occurred_at FROM {messages} WHERE seq >= $1 ORDER BY seq LIMIT 1"
            ),
            count,
            change,
            // Parked rows are sent in the order of parking, in which they would come before older messages that are parked
            // now. Those that are still in the log come again with it.
            unpark: format!(
                "DELETE FROM {dead_letters} WHERE state = 'parked' AND seq >= $1 AND EXISTS (
                   SELECT 1 FROM {messages} m WHERE m.seq = {dead_letters}.seq AND m.id = {dead_letters}.id)"
            ),
        }
    }
}

/// Behind the cursor's bound lies the window that is being worked off; in it the position is lowered, else the bound.
#[cfg(feature = "postgres")]
const IN_WINDOW_KEPT: &str =
    "position = CASE WHEN to_snapshot IS NOT NULL AND $1 > high THEN least(position, $1 - 1) END,
    high_to = CASE WHEN $1 > high THEN high_to END,
    to_snapshot = CASE WHEN $1 > high THEN to_snapshot END,
    high = least(high, $1 - 1)";

#[cfg(feature = "postgres")]
fn count_in_postgres(messages: &str, cursor: &str, dead_letters: &str) -> String {
    let of_window = "m.seq <= c.position AND pg_visible_in_snapshot(m.xid, c.to_snapshot)";
    format!(
        "SELECT c.passed,
           CASE WHEN $1 > c.high
             THEN (SELECT count(*) FROM {messages} m WHERE m.seq >= $1 AND {of_window})
             ELSE (SELECT count(*) FROM {messages} m
                   WHERE m.seq >= $1 AND m.seq <= c.high AND pg_visible_in_snapshot(m.xid, c.from_snapshot))
                + (SELECT count(*) FROM {messages} m
                   WHERE m.xid >= pg_snapshot_xmin(c.from_snapshot) AND {of_window}
                     AND NOT pg_visible_in_snapshot(m.xid, c.from_snapshot)) END,
           (SELECT count(*) FROM {messages} m WHERE m.seq >= $1 AND m.seq <= c.passed),
           (SELECT count(*) FROM {dead_letters} d WHERE d.seq >= $1 AND d.seq <= c.passed)
         FROM (SELECT *, greatest(high, position) AS passed FROM {cursor}) c WHERE c.from_snapshot IS NOT NULL"
    )
}

/// What was found in the log.
struct Found {
    oldest: Oldest,
    /// The first message from there on, and when it occurred.
    first: Oldest,
    counted: Counted,
}

impl Found {
    /// What would be sent again, or why that cannot be.
    fn outlook(self, to: RewindTo) -> Result<RewindOutlook, RewindError> {
        let oldest = self.oldest;
        let is_there = oldest.is_some_and(|(first, since)| match to {
            RewindTo::Seq(seq) => seq >= first,
            RewindTo::Time(time) => time >= since,
        });
        if !is_there {
            return Err(RewindError::TooFar { oldest });
        }
        let counted = self.counted.filter(|(_, messages, ..)| *messages > 0);
        let (Some((seq, time)), Some((passed, messages, there, dead_letters))) = (self.first, counted) else {
            return Ok(RewindOutlook::default());
        };
        let number = |number: i64| number.max(0).unsigned_abs();
        Ok(RewindOutlook {
            from_seq: Some(seq),
            from_time: Some(time),
            messages: number(messages),
            dead_letters: number(dead_letters),
            missing: number(passed - seq + 1 - there),
        })
    }
}

/// Finds out what a rewind would send. The macro's uses differ in the driver's types only.
macro_rules! look {
    ($connection:expr, $statements:expr, $to:expr) => {{
        let (statements, to): (&Statements, RewindTo) = ($statements, $to);
        let oldest: Oldest = sqlx::query_as(AssertSqlSafe(statements.oldest.clone()))
            .fetch_optional(&mut *$connection)
            .await?;
        let seq: Option<i64> = match to {
            RewindTo::Seq(seq) => Some(seq),
            RewindTo::Time(time) => {
                let query = sqlx::query_scalar(AssertSqlSafe(statements.first_since.clone())).bind(time);
                query.fetch_optional(&mut *$connection).await?
            }
        };
        let first: Oldest = sqlx::query_as(AssertSqlSafe(statements.first_from.clone()))
            .bind(seq)
            .fetch_optional(&mut *$connection)
            .await?;
        let counted: Counted = sqlx::query_as(AssertSqlSafe(statements.count.clone()))
            .bind(seq)
            .fetch_optional(&mut *$connection)
            .await?;
        Found {
            oldest,
            first,
            counted,
        }
    }};
}

impl Controls {
    /// Returns what [`rewind`](Self::rewind) would send again, without changing anything.
    ///
    /// # Errors
    /// [`RewindError::TooFar`], with the oldest message that is there; the database cannot be read, or the cursor is from
    /// another cluster.
    pub async fn rewind_outlook(&self, to: RewindTo) -> Result<RewindOutlook, RewindError> {
        self.check_home().await?;
        let statements = Statements::new(self);
        let looking: Result<Found, sqlx::Error> =
            async { Ok(in_transaction!(self.pool(), |tx| look!(tx, &statements, to))) }.await;
        let found = looking.map_err(StoreError::while_doing("looking at what a rewind would send"))?;
        found.outlook(to)
    }

    /// Sends delivered messages again, with their ids, beginning at `to`. The active relay applies it within a second,
    /// or the next one if none is active. Undelivered messages follow in their order.
    ///
    /// The messages are duplicates, also with exactly-once delivery: consumers have to recognise the ids.
    /// Messages in the dead letters are sent, too; parked ones no longer wait there, but in the log. Relays, writers and
    /// pruners can run meanwhile, and no message is pruned before it is sent again. A rewind that would send nothing
    /// changes nothing.
    ///
    /// Cancellation: it is one transaction, which happens as a whole or not at all.
    ///
    /// # Errors
    /// As [`rewind_outlook`](Self::rewind_outlook); the database cannot be written.
    pub async fn rewind(&self, to: RewindTo, decision: &Decision) -> Result<RewindOutlook, RewindError> {
        // A time is looked up without the lock, since that may read much.
        let outlook = self.rewind_outlook(to).await?;
        let Some(seq) = outlook.from_seq else {
            return Ok(outlook);
        };
        let statements = Statements::new(self);
        let rewinding: Result<Result<RewindOutlook, RewindError>, sqlx::Error> = async {
            Ok(in_transaction!(self.pool(), |tx| {
                sqlx::query(AssertSqlSafe(statements.lock.clone()))
                    .execute(&mut *tx)
                    .await?;
                let found = look!(tx, &statements, RewindTo::Seq(seq));
                let passed = found.counted.map_or(0, |(passed, ..)| passed);
                let outlook = found.outlook(RewindTo::Seq(seq));
                if let Ok(RewindOutlook {
                    from_seq: Some(_), ..
                }) = &outlook
                {
                    let change = sqlx::query(AssertSqlSafe(statements.change.clone())).bind(seq);
                    change.execute(&mut *tx).await?;
                    let unpark = sqlx::query(AssertSqlSafe(statements.unpark.clone())).bind(seq);
                    unpark.execute(&mut *tx).await?;
                    let entry = NewAuditEntry {
                        action: "rewind",
                        scope: "log",
                        name: "",
                        before: Some(&format!("seq {passed}")),
                        after: Some(&format!("seq {seq}")),
                    };
                    record!(self, tx, &entry, decision);
                }
                outlook
            }))
        }
        .await;
        rewinding.map_err(StoreError::while_doing("rewinding"))?
    }

    /// The cursor of another cluster does not say what was delivered.
    async fn check_home(&self) -> Result<(), StoreError> {
        match self.pool() {
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let store = PostgresStore::new(pool).tables(self.tables());
                store.status().await.map(drop)
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Ok(()),
        }
    }
}
