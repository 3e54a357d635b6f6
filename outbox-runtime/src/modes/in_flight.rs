//! Announces to switches that events are in flight that are in no table: what a service publishes itself in a shadow.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::Mutex;

use super::ModeSql;

#[derive(Debug)]
pub(super) struct InFlight {
    pool: sqlx::PgPool,
    sql: Arc<ModeSql>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The session that has the lock, for all of this process.
    connection: Option<PgConnection>,
    count: usize,
}

/// Something is on its way.
#[derive(Debug)]
struct Guard {
    in_flight: Arc<InFlight>,
}

impl InFlight {
    pub(super) fn new(pool: sqlx::PgPool, sql: Arc<ModeSql>) -> Arc<Self> {
        Arc::new(Self {
            pool,
            sql,
            state: Mutex::default(),
        })
    }

    /// To be called in a transaction that holds the modes, so that no switch is about to end.
    pub(super) async fn begin(self: Arc<Self>) -> Result<super::Held, sqlx::Error> {
        let mut state = self.state.lock().await;
        if state.count == 0 {
            let mut connection = match state.connection.take() {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.pool.connect_options()).await?,
            };
            sqlx::query(AssertSqlSafe(self.sql.lock.as_str()))
                .bind([-1_i64].as_slice())
                .execute(&mut connection)
                .await?;
            state.connection = Some(connection);
        }
        state.count += 1;
        drop(state);
        Ok(Box::new(Guard { in_flight: self }))
    }

    async fn end(&self) {
        let mut state = self.state.lock().await;
        state.count -= 1;
        if state.count > 0 {
            return;
        }
        let Some(mut connection) = state.connection.take() else {
            return;
        };
        let unlocked = sqlx::query(AssertSqlSafe(self.sql.unlock.as_str()))
            .bind([-1_i64].as_slice())
            .execute(&mut connection)
            .await;
        match unlocked {
            Ok(_) => state.connection = Some(connection),
            Err(error) => {
                tracing::warn!(%error, "lost the connection that holds the lock for the service's own publishing");
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, and its session with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let in_flight = Arc::clone(&self.in_flight);
            runtime.spawn(async move { in_flight.end().await });
        }
    }
}
