//! Health over HTTP, for the probes of an orchestrator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;

use super::{Health, HealthConfig, HealthDatabase, HealthStatus};
use crate::Outbox;

/// So long an answer is given again. However many ask, the database is asked once a second.
const FRESH: Duration = Duration::from_secs(1);

/// Routes for the probes of an orchestrator. Merge them into the service's routes:
///
/// | path | answer |
/// | --- | --- |
/// | `/health/live` | 200 while the process answers |
/// | `/health/ready` | 200 if healthy or degraded, because messages can be committed; else 503 |
///
/// `/health/ready` returns the [`Health`] as JSON, at most one second old.
///
/// ```no_run
/// # async fn example(outbox: outbox_runtime::Outbox<sqlx::Sqlite>) -> std::io::Result<()> {
/// use outbox_runtime::health::{self, HealthConfig};
///
/// let routes = axum::Router::new().merge(health::router(outbox, HealthConfig::new()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, routes).await
/// # }
/// ```
pub fn router<DB, S>(outbox: Outbox<DB>, config: HealthConfig) -> Router<S>
where
    DB: HealthDatabase,
    S: Clone + Send + Sync + 'static,
{
    let state = Arc::new(Probe {
        outbox,
        config,
        last: Mutex::new(None),
    });
    Router::new()
        .route("/health/live", get(async || StatusCode::OK))
        .route("/health/ready", get(ready::<DB>))
        .with_state(state)
}

struct Probe<DB: HealthDatabase> {
    outbox: Outbox<DB>,
    config: HealthConfig,
    last: Mutex<Option<(Instant, Health)>>,
}

impl<DB: HealthDatabase> Probe<DB> {
    /// One check at a time: whoever comes meanwhile gets the same answer.
    async fn health(&self) -> Health {
        let mut last = self.last.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < FRESH
        {
            return health.clone();
        }
        let health = self.outbox.health_with(&self.config).await;
        *last = Some((Instant::now(), health.clone()));
        health
    }
}

async fn ready<DB: HealthDatabase>(State(probe): State<Arc<Probe<DB>>>) -> Response {
    let health = probe.health().await;
    let status = match health.status {
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let json = HeaderValue::from_static("application/json");
    match serde_json::to_string(&health) {
        Ok(body) => (status, [(header::CONTENT_TYPE, json)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
