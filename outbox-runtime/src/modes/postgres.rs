//! Modes in PostgreSQL.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row};

use super::following::Following;
use super::in_flight::InFlight;
use super::sender::{Sender, Settings};
use super::{Direct, Held, InForce, ModeSql, Modes, SendLocks, ShadowTarget, TransactionModes};
use crate::message::OutboxMessage;
use crate::schema::Tables;

pub(crate) struct PostgresModes {
    sql: Arc<ModeSql>,
    following: Arc<Following>,
    in_flight: Arc<InFlight>,
    shadow: ShadowTarget,
    sender: Sender,
    settings: Settings,
}

impl PostgresModes {
    pub(crate) fn new(modes: Modes, pool: &sqlx::PgPool, tables: &Tables, database: &str) -> Self {
        let sql = Arc::new(ModeSql::new(tables));
        let settings = Settings {
            wire: modes.wire(database),
            give_up_after: modes.give_up_after,
            log: tables.log_name(database),
        };
        let following = Following::new(pool.clone(), Arc::clone(&sql), modes.default);
        following.poll();
        Self {
            following,
            in_flight: InFlight::new(pool.clone(), Arc::clone(&sql)),
            sql,
            shadow: modes.shadow,
            sender: modes.sender,
            settings,
        }
    }
}

/// `-1` stands for the lock that says that something is on its way; it comes first.
fn numbers(locks: &SendLocks) -> Vec<i64> {
    std::iter::once(-1).chain(locks.keys.iter().copied()).collect()
}

impl TransactionModes<Postgres> for PostgresModes {
    fn hold<'a>(
        &'a self,
        connection: &'a mut PgConnection,
    ) -> BoxFuture<'a, Result<Arc<InForce>, sqlx::Error>> {
        Box::pin(async move {
            self.following.poll();
            let row = sqlx::query(AssertSqlSafe(self.sql.hold.as_str()))
                .fetch_one(connection)
                .await?;
            self.following.of_version(row.try_get(1)?).await
        })
    }

    fn lock<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        locks: &'a SendLocks,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            sqlx::query(AssertSqlSafe(self.sql.lock.as_str()))
                .bind(numbers(locks))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    fn unlock<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        locks: &'a SendLocks,
    ) -> BoxFuture<'a, Result<bool, sqlx::Error>> {
        Box::pin(async move {
            sqlx::query_scalar(AssertSqlSafe(self.sql.unlock.as_str()))
                .bind(numbers(locks))
                .fetch_one(connection)
                .await
        })
    }

    fn send(&self, messages: Vec<OutboxMessage>) -> BoxFuture<'static, Direct> {
        Box::pin(self.sender.send(&self.settings, messages))
    }

    fn shadow(&self) -> &ShadowTarget {
        &self.shadow
    }

    fn in_flight(&self) -> BoxFuture<'static, Result<Held, sqlx::Error>> {
        Box::pin(Arc::clone(&self.in_flight).begin())
    }
}

impl fmt::Debug for PostgresModes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresModes")
            .field("known", &self.following.known())
            .finish_non_exhaustive()
    }
}
