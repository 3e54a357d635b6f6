//! Health checks of an outbox: status, reasons, and the measurements behind them.
//!
//! A service is *unhealthy* when it cannot commit messages. It is *degraded* when it can, but an operator
//! should act: for example, messages are not delivered because Kafka is unavailable or no relay is active, or
//! dead letters need a decision. An outage of Kafka never makes a service unhealthy, and a relay on standby
//! is healthy.

mod config;
mod database;
mod judge;
mod reason;
#[cfg(feature = "axum")]
mod routes;

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use config::HealthConfig;
pub use database::HealthDatabase;
pub use reason::Reason;
#[cfg(feature = "axum")]
pub use routes::router;

use self::judge::{judge_database, judge_relay};
use crate::relay::RelayHealth;
use crate::store::{LogState, Observation, optional_seconds};
use crate::{ErrorChain, Outbox, RelayProgress};

/// Version of the JSON that a [`Health`] becomes.
const SHAPE: u32 = 1;

/// Result of a health check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Version of the JSON format. It changes when fields are removed or change their meaning.
    pub schema_version: u32,
    /// The worst of the reasons.
    pub status: HealthStatus,
    /// All problems; empty when healthy.
    pub reasons: Vec<Reason>,
    /// The state of the log; `None` if it could not be read.
    pub log: Option<LogState>,
    /// The relay of this process, if [`HealthConfig::relay`] names one.
    pub relay: Option<RelayView>,
}

/// Status of an outbox, in increasing severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// No problem was found.
    Healthy,
    /// Messages can be committed, but an operator should act on the reasons.
    Degraded,
    /// Messages cannot be committed.
    Unhealthy,
}

impl HealthStatus {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// State of the relay of this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RelayView {
    /// Its role.
    pub role: RelayRole,
    /// Records acknowledged since it was built.
    pub delivered: u64,
    /// Records in flight.
    pub in_flight: usize,
    /// Time for which it has been retrying without progress.
    #[serde(rename = "retrying_seconds", serialize_with = "optional_seconds")]
    pub retrying: Option<Duration>,
    /// The error that it retries after.
    pub error: Option<String>,
}

/// Role of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RelayRole {
    /// It holds the lease and delivers.
    Active,
    /// It waits for the lease.
    Standby,
    /// It has ended.
    Stopped,
}

/// A relay as it is judged.
enum Relay {
    Active,
    Standby,
    Failing { lasting: Duration, error: String },
    Stopped,
}

impl<DB: HealthDatabase> Outbox<DB> {
    /// Checks the outbox with the default thresholds: see [`health_with`](Self::health_with).
    ///
    /// ```no_run
    /// # async fn example(outbox: outbox_runtime::Outbox<sqlx::Sqlite>) {
    /// for reason in outbox.health().await.reasons {
    ///     tracing::warn!("{reason}");
    /// }
    /// # }
    /// ```
    pub async fn health(&self) -> Health {
        self.health_with(&HealthConfig::new()).await
    }

    /// Checks whether messages can be committed and are being delivered.
    ///
    /// Takes at most [`HealthConfig::timeout`]. In PostgreSQL, it reads the log on a separate connection with
    /// the options of the pool, by statements that read a bounded number of rows. The connection's role needs
    /// the rights of [`Role::Reader`](crate::schema::Role::Reader). If that fails but the pool works, the
    /// outbox is degraded, not unhealthy.
    ///
    /// Cancel safe. Never fails: a failure is returned as a reason.
    pub async fn health_with(&self, config: &HealthConfig) -> Health {
        let (observed, pool) = self.observe(config.timeout).await;
        let (mut reasons, log) = match (observed, pool) {
            (Ok(observed), _) => {
                let reasons = judge_database(&observed, self.tables(), config);
                (reasons, observed.log.and_then(Result::ok))
            }
            (Err(error), Ok(())) => (vec![Reason::LogUnreadable { error }], None),
            (Err(error), Err(())) => {
                let timeout = config.timeout;
                (vec![Reason::DatabaseUnreachable { error, timeout }], None)
            }
        };
        let relay = config.relay.as_ref().map(look_at);
        if let Some((judged, _)) = &relay {
            reasons.extend(judge_relay(judged, config));
        }
        let worst = reasons.iter().map(Reason::status).max();
        Health {
            schema_version: SHAPE,
            status: worst.unwrap_or(HealthStatus::Healthy),
            reasons,
            log,
            relay: relay.map(|(_, view)| view),
        }
    }

    /// What is there to be seen, and, if that is nothing, whether the pool works.
    async fn observe(&self, timeout: Duration) -> (Result<Observation, String>, Result<(), ()>) {
        let late = format!("no answer within {timeout:?}");
        let seen = CancellationToken::new();
        let observe = async {
            let observing = DB::observe(self.pool(), self.tables(), timeout);
            let observed = match tokio::time::timeout(timeout, observing).await {
                Ok(Ok(observed)) => Ok(observed),
                Ok(Err(error)) => Err(ErrorChain::new(&error).to_string()),
                Err(_) => Err(late),
            };
            if observed.is_ok() {
                seen.cancel();
            }
            observed
        };
        // At the same time, so that both have the whole time.
        let ping = seen.run_until_cancelled(tokio::time::timeout(timeout, DB::ping(self.pool())));
        let (observed, answered) = tokio::join!(observe, ping);
        let answered = matches!(answered, None | Some(Ok(Ok(()))));
        (observed, answered.then_some(()).ok_or(()))
    }
}

fn look_at(progress: &RelayProgress) -> (Relay, RelayView) {
    let (health, trouble) = (progress.health(), progress.trouble_lasting());
    let role = match (&health, progress.is_active()) {
        (RelayHealth::Stopped, _) => RelayRole::Stopped,
        (_, true) => RelayRole::Active,
        (_, false) => RelayRole::Standby,
    };
    let view = RelayView {
        role,
        delivered: progress.delivered(),
        in_flight: progress.in_flight(),
        retrying: trouble.as_ref().map(|(lasting, _)| *lasting),
        error: trouble.as_ref().map(|(_, error)| error.clone()),
    };
    let judged = match (role, trouble) {
        (RelayRole::Stopped, _) => Relay::Stopped,
        (_, Some((lasting, error))) => Relay::Failing { lasting, error },
        (RelayRole::Active, None) => Relay::Active,
        (RelayRole::Standby, None) => Relay::Standby,
    };
    (judged, view)
}
