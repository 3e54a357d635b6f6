//! Switching modes, so that keys keep their order.
//!
//! Into `direct` and `shadow`, what is in the log has to be delivered before anything is sent beside it; out of them,
//! what is on its way has to arrive before the log takes over. Writers share an advisory lock from the time at which
//! they decide on a mode to the end of their transaction, so whoever has it alone finds none of them half-way.

mod refusal;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use super::decisions::Decision;
use crate::modes::{Mode, ModeScope, ModeSetting, ModeSql};
use crate::schema::Tables;
use crate::store::{PostgresStore, Store, StoreError};

pub use refusal::{LockHolder, ModeOutlook, SwitchError, SwitchRefusal};

/// Writers queue behind a lock that is asked for, so an attempt is short.
const ATTEMPT: &str = "250ms";
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two looks at the log while writers wait.
const LOOK: Duration = Duration::from_millis(20);
/// So many messages are delivered so fast that writers can wait for them.
const SOON: i64 = 1_000;
/// For so long writers wait for the log at most, before they are let on and it is tried again.
const WRITERS_WAIT: Duration = Duration::from_secs(5);
/// Another relay has taken over by then.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// After so many looks, those that still hold a lock are logged.
const LOOKS_AT_HOLDERS: u32 = 3;
/// Counting stops here.
const COUNT_AT_MOST: i64 = 100_000;

/// One switch of one scope.
pub(super) struct Switch<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) tables: &'a Tables,
    pub(super) scope: &'a ModeScope,
    pub(super) mode: Option<Mode>,
}

/// What an attempt came to.
enum Attempt {
    Done,
    /// Worth another one.
    Wait(SwitchRefusal),
}

impl Switch<'_> {
    /// Unless the mode is plainly the log's, something may be sent beside it.
    fn needs_an_empty_log(&self) -> bool {
        self.mode != Some(Mode::Outbox)
    }

    async fn before(&self) -> Result<Option<Mode>, sqlx::Error> {
        let (scope, name) = self.scope.stored();
        let sql = format!(
            "SELECT mode FROM {} WHERE scope = $1 AND name = $2",
            self.tables.modes()
        );
        let mode: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(scope)
            .bind(name)
            .fetch_optional(self.pool)
            .await?;
        Ok(mode.flatten().and_then(|mode| mode.parse().ok()))
    }

    pub(super) async fn outlook(&self) -> Result<ModeOutlook, SwitchError> {
        let failed = StoreError::while_doing("looking at what a mode would have to wait for");
        let before = self.before().await.map_err(failed)?;
        let (waiting, parked, relay) = self.look().await?;
        let refused = match self.needs_an_empty_log() {
            true => refusal(waiting, parked, relay.is_some()),
            false => None,
        };
        Ok(ModeOutlook {
            before,
            waiting,
            relay,
            refused,
        })
    }

    /// What waits, what is parked, and who relays.
    async fn look(&self) -> Result<(u64, u64, Option<String>), SwitchError> {
        let store = PostgresStore::new(self.pool).tables(self.tables);
        let lease = store.status().await?.lease;
        let looked = async {
            let mut tx = self
                .pool
                .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
                .await?;
            let counted = self.count(&mut tx, None).await?;
            tx.rollback().await?;
            Ok(counted)
        };
        let (waiting, parked) = looked
            .await
            .map_err(StoreError::while_doing("counting what waits in the log"))?;
        Ok((waiting, parked, lease.map(|lease| lease.holder)))
    }

    /// Messages of the scope that are not settled, of those that this snapshot sees, and parked ones.
    async fn count(&self, pg: &mut PgConnection, seen_by: Option<&str>) -> Result<(u64, u64), sqlx::Error> {
        let (messages, cursor) = (self.tables.messages(), self.tables.cursor());
        let dead_letters = self.tables.dead_letters();
        let is_of_scope = match self.scope {
            ModeScope::Log => "$1 = ''",
            ModeScope::Aggregate(_) => "m.aggregate_type = $1",
            ModeScope::Topic(_) => "m.topic = $1",
            ModeScope::EventType(_) => "m.event_type = $1",
        };
        // Everything that the cursor's snapshot sees is settled, and no row that it does not see has an older transaction
        // than its oldest.
        let sql = format!(
            "SELECT (SELECT count(*) FROM (
               SELECT FROM {messages} m
               WHERE m.xid >= (SELECT coalesce(pg_snapshot_xmin(from_snapshot), '0'::xid8) FROM {cursor})
                 AND NOT coalesce(pg_visible_in_snapshot(m.xid, (SELECT from_snapshot FROM {cursor})), false)
                 AND coalesce(pg_visible_in_snapshot(m.xid, $2::text::pg_snapshot), true) AND {is_of_scope}
               LIMIT {COUNT_AT_MOST}) waiting),
             (SELECT count(*) FROM {dead_letters} m WHERE m.state = 'parked' AND {is_of_scope})"
        );
        sqlx::raw_sql("SET LOCAL enable_seqscan = off")
            .execute(&mut *pg)
            .await?;
        let (_, name) = self.scope.stored();
        let (waiting, parked): (i64, i64) = sqlx::query_as(AssertSqlSafe(sql))
            .bind(name)
            .bind(seen_by)
            .fetch_one(pg)
            .await?;
        Ok((waiting.unsigned_abs(), parked.unsigned_abs()))
    }

    /// Changes the mode. `false` if it is the one that is set.
    pub(super) async fn run(&self, decision: &Decision, timeout: Duration) -> Result<bool, SwitchError> {
        let deadline = Instant::now() + timeout;
        let failed = || StoreError::while_doing("changing a mode");
        if self.before().await.map_err(failed())? == self.mode {
            return Ok(false);
        }
        loop {
            if self.needs_an_empty_log() {
                self.until_nearly_empty(deadline).await?;
            }
            let attempt = self.attempt(decision, deadline).await.map_err(failed())?;
            let Attempt::Wait(refusal) = attempt else {
                return Ok(true);
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(SwitchError::Refused(self.naming_holders(refusal).await?));
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits while writers go on, so that they wait as shortly as possible afterwards.
    async fn until_nearly_empty(&self, deadline: Instant) -> Result<(), SwitchError> {
        let a_relay_by = deadline.min(Instant::now() + TAKE_OVER);
        loop {
            let (waiting, parked, relay) = self.look().await?;
            match refusal(waiting, parked, relay.is_some()) {
                Some(refused) if relay.is_none() && Instant::now() + PAUSE >= a_relay_by => {
                    return Err(SwitchError::Refused(refused));
                }
                None if waiting <= SOON.unsigned_abs() => return Ok(()),
                refused if Instant::now() + PAUSE >= deadline => {
                    let backlog = SwitchRefusal::Backlog { waiting, relay };
                    return Err(SwitchError::Refused(refused.unwrap_or(backlog)));
                }
                Some(_) | None => sleep(PAUSE).await,
            }
        }
    }

    /// While it lasts, nobody who follows modes commits an event.
    async fn attempt(&self, decision: &Decision, deadline: Instant) -> Result<Attempt, sqlx::Error> {
        let sql = ModeSql::new(self.tables);
        let mut tx = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
            .await?;
        let patience = format!("SET LOCAL lock_timeout = '{ATTEMPT}'");
        sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *tx).await?;
        match sqlx::query(AssertSqlSafe(sql.take_change))
            .execute(&mut *tx)
            .await
        {
            Ok(_) => {}
            Err(error) if is_lock_timeout(&error) => {
                return Ok(Attempt::Wait(SwitchRefusal::Writers(Vec::new())));
            }
            Err(error) => return Err(error),
        }
        if self.needs_an_empty_log()
            && let Some(refusal) = self.until_empty(&mut tx, deadline).await?
        {
            return Ok(Attempt::Wait(refusal));
        }
        let before = self.write(&mut tx, decision).await?;
        let left = deadline
            .saturating_duration_since(Instant::now())
            .as_millis()
            .max(100);
        let patience = format!("SET LOCAL lock_timeout = '{left}ms'");
        sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *tx).await?;
        match sqlx::query(AssertSqlSafe(sql.take_sending))
            .execute(&mut *tx)
            .await
        {
            Ok(_) => {}
            Err(error) if is_lock_timeout(&error) => {
                return Ok(Attempt::Wait(SwitchRefusal::Sending(Vec::new())));
            }
            Err(error) => return Err(error),
        }
        self.record(&mut tx, before, decision).await?;
        tx.commit().await?;
        Ok(Attempt::Done)
    }

    /// Waits, with the writers, until the relay has delivered what is there.
    async fn until_empty(
        &self,
        pg: &mut PgConnection,
        deadline: Instant,
    ) -> Result<Option<SwitchRefusal>, sqlx::Error> {
        let until = deadline.min(Instant::now() + WRITERS_WAIT);
        // What writers of other programs add is none of ours: they do not follow modes.
        let now: String = sqlx::query_scalar("SELECT pg_current_snapshot()::text")
            .fetch_one(&mut *pg)
            .await?;
        loop {
            let (waiting, parked) = self.count(pg, Some(&now)).await?;
            if parked > 0 {
                return Ok(Some(SwitchRefusal::Parked { messages: parked }));
            }
            if waiting == 0 {
                return Ok(None);
            }
            if Instant::now() >= until {
                return Ok(Some(SwitchRefusal::Backlog { waiting, relay: None }));
            }
            sleep(LOOK).await;
        }
    }

    async fn write(&self, pg: &mut PgConnection, decision: &Decision) -> Result<Option<String>, sqlx::Error> {
        let modes = self.tables.modes();
        let (scope, name) = self.scope.stored();
        let before: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT mode FROM {modes} WHERE scope = $1 AND name = $2"
        )))
        .bind(scope)
        .bind(name)
        .fetch_optional(&mut *pg)
        .await?;
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO {modes} (scope, name, mode, changed_by, reason) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (scope, name) DO UPDATE SET mode = excluded.mode, version = DEFAULT, changed_at = now(),
               changed_by = excluded.changed_by, reason = excluded.reason"
        )))
        .bind(scope)
        .bind(name)
        .bind(self.mode.map(Mode::as_str))
        .bind(decision.by())
        .bind(decision.reason())
        .execute(pg)
        .await?;
        Ok(before.flatten())
    }

    async fn record(
        &self,
        pg: &mut PgConnection,
        before: Option<String>,
        decision: &Decision,
    ) -> Result<(), sqlx::Error> {
        let (scope, name) = self.scope.stored();
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO {} (action, scope, name, before, after, done_by, reason) VALUES ('mode', $1, $2, $3, $4, $5, $6)",
            self.tables.audit()
        )))
        .bind(scope)
        .bind(name)
        .bind(before)
        .bind(self.mode.map(Mode::as_str))
        .bind(decision.by())
        .bind(decision.reason())
        .execute(pg)
        .await?;
        Ok(())
    }

    /// The refusal with what is known only now.
    async fn naming_holders(&self, refusal: SwitchRefusal) -> Result<SwitchRefusal, StoreError> {
        let of_sending = match refusal {
            SwitchRefusal::Writers(_) => false,
            SwitchRefusal::Sending(_) => true,
            SwitchRefusal::Backlog { waiting, .. } => {
                let store = PostgresStore::new(self.pool).tables(self.tables);
                let relay = store.status().await?.lease.map(|lease| lease.holder);
                return Ok(SwitchRefusal::Backlog { waiting, relay });
            }
            SwitchRefusal::NoRelay { .. } | SwitchRefusal::Parked { .. } => return Ok(refusal),
        };
        let mut holders = self.holders(of_sending).await?;
        // Those that come and go are not in the way.
        for _ in 0..LOOKS_AT_HOLDERS {
            sleep(PAUSE).await;
            let now = self.holders(of_sending).await?;
            holders.retain(|holder| now.contains(holder));
        }
        Ok(match of_sending {
            true => SwitchRefusal::Sending(holders),
            false => SwitchRefusal::Writers(holders),
        })
    }
}

impl Switch<'_> {
    async fn holders(&self, of_sending: bool) -> Result<Vec<LockHolder>, StoreError> {
        let holders = AssertSqlSafe(ModeSql::new(self.tables).holders);
        let holders: Vec<(i32, Option<String>, bool)> = sqlx::query_as(holders)
            .fetch_all(self.pool)
            .await
            .map_err(StoreError::while_doing("asking whom a mode waits for"))?;
        let of_kind = holders
            .into_iter()
            .filter(|(_, _, sending)| *sending == of_sending);
        let holder = |(pid, application, _): (i32, Option<String>, bool)| LockHolder {
            pid,
            application: application.unwrap_or_default(),
        };
        Ok(of_kind.map(holder).collect())
    }
}

fn refusal(waiting: u64, parked: u64, relayed: bool) -> Option<SwitchRefusal> {
    match (waiting, parked) {
        (0, 0) => None,
        (_, messages) if messages > 0 => Some(SwitchRefusal::Parked { messages }),
        (waiting, _) => (!relayed).then_some(SwitchRefusal::NoRelay { waiting }),
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03")
}

/// The modes that are set, the log's first.
pub(super) async fn list(pool: &PgPool, tables: &Tables) -> Result<Vec<ModeSetting>, StoreError> {
    type Row = (String, String, Option<String>, DateTime<Utc>, String, String);
    let sql = AssertSqlSafe(format!(
        "SELECT scope, name, mode, changed_at, changed_by, reason FROM {}
         ORDER BY array_position(ARRAY['log', 'aggregate', 'topic', 'event_type'], scope), name",
        tables.modes()
    ));
    let rows: Vec<Row> = sqlx::query_as(sql)
        .fetch_all(pool)
        .await
        .map_err(StoreError::while_doing("reading the modes"))?;
    let setting = |(scope, name, mode, since, by, reason): Row| {
        let mode = mode.and_then(|mode| mode.parse().ok());
        Some(ModeSetting::new(
            ModeScope::of(&scope, name)?,
            mode,
            (since, by, reason),
        ))
    };
    Ok(rows.into_iter().filter_map(setting).collect())
}
