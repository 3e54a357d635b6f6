//! Whether the service is well.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::App;

/// How long the database may take; whoever asks has not much longer himself.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
pub(super) struct Health {
    database: bool,
    /// Whether this replica is the one that relays; another one may be.
    relaying: bool,
    /// Events that this replica has delivered.
    delivered: u64,
}

/// `GET /health`: 200 while the database answers. A broker that is away is no illness: events wait.
pub(super) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    let asked = sqlx::query("SELECT 1").execute(app.outbox.pool());
    let database = matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)));
    let health = Health {
        database,
        relaying: app.relay.is_active(),
        delivered: app.relay.delivered(),
    };
    let status = if database {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health))
}
