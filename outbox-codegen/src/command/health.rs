//! `outbox health`: whether messages can be committed, and whether they are delivered.

use outbox_runtime::health::{HealthDatabase, Reason};
use outbox_runtime::{Health, HealthConfig, HealthStatus, Outbox, Tables};
use sqlx::Pool;

use super::print;
use crate::Exit;
use crate::arguments::Health as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let config = arguments.thresholds.config();
    let health = match connect(&address, IfMissing::Fail, arguments.thresholds.timeout).await? {
        Database::Postgres(pool) => check(pool, tables, &config).await,
        Database::Sqlite(pool) => check(pool, tables, &config).await,
    };
    if arguments.json {
        let json = serde_json::to_string(&health)
            .map_err(|error| Failure::failed("cannot write the health as JSON").because(error))?;
        print(json)?;
    } else {
        print(text(&health))?;
    }
    Ok(exit(&health))
}

async fn check<DB: HealthDatabase>(pool: Pool<DB>, tables: Tables, config: &HealthConfig) -> Health {
    let outbox = Outbox::builder(pool).tables(tables).build();
    outbox.health_with(config).await
}

fn text(health: &Health) -> String {
    let mut text = health.status.as_str().to_owned();
    for reason in &health.reasons {
        text += &format!("\n{:10} {reason}", reason.status().as_str());
    }
    text
}

fn exit(health: &Health) -> Exit {
    let is_away = |reason: &Reason| matches!(reason, Reason::DatabaseUnreachable { .. });
    match health.status {
        HealthStatus::Healthy => Exit::Done,
        HealthStatus::Degraded | HealthStatus::Unhealthy => match health.reasons.iter().any(is_away) {
            true => Exit::Unreachable,
            false => Exit::Differences,
        },
    }
}
