//! Faults, in an order that a seed decides.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::arguments::Name;
use crate::services::Platform;
use crate::view::View;

/// How long the broker, or a database, is away.
const OUTAGE: Duration = Duration::from_millis(1_500);

/// How long members of groups have to join again before the broker fails. A group of the mock cluster that loses its broker
/// while a member joins never comes back, as groups of real brokers do.
const CALM: Duration = Duration::from_secs(10);

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service(Name),
    Relay(Name),
    Database(Name),
    Broker,
}

/// What happened, and when.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) at: DateTime<Utc>,
    /// Whom it hit; none: everybody.
    pub(crate) service: Option<Name>,
    pub(crate) what: String,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, service: Option<Name>, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Fault {
            at: Utc::now(),
            service,
            what,
        });
    }
}

/// Lets everything happen at least once: each service is killed, some relays, some databases, and the broker twice.
pub(crate) async fn run(platform: &Platform, faults: &Faults, view: &View, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut kinds: Vec<Kind> = Name::ALL.into_iter().map(Kind::Service).collect();
    for _ in 0..3 {
        kinds.push(Kind::Relay(
            *Name::ALL.choose(&mut random).unwrap_or(&Name::FileService),
        ));
        kinds.push(Kind::Database(
            *Name::ALL.choose(&mut random).unwrap_or(&Name::FileService),
        ));
    }
    kinds.shuffle(&mut random);
    for kind in kinds {
        tokio::time::sleep(Duration::from_millis(random.random_range(300..900))).await;
        strike(platform, faults, view, kind).await?;
    }
    if !platform.mock {
        view.say("the brokers of --brokers are not ours: they are left alone");
        return Ok(());
    }
    for _ in 0..2 {
        tokio::time::sleep(CALM).await;
        strike(platform, faults, view, Kind::Broker).await?;
    }
    Ok(())
}

async fn strike(platform: &Platform, faults: &Faults, view: &View, kind: Kind) -> Result<()> {
    let say = |service: Option<Name>, what: &str| {
        faults.record(service, what.to_owned());
        match service {
            Some(name) => view.say(&format!("✕ {}: {what}", name.as_str())),
            None => view.say(&format!("✕ {what}")),
        }
    };
    match kind {
        Kind::Service(name) => {
            say(Some(name), "killed");
            platform.service(name).process.lock().await.kill().await?;
        }
        Kind::Relay(name) => {
            // Whichever relay is active: the one in the service's process goes with that.
            say(Some(name), "relay killed");
            if let Some(standby) = &platform.service(name).standby {
                standby.lock().await.kill().await?;
            }
        }
        Kind::Database(name) => {
            say(Some(name), DATABASE_FAULT);
            interrupt(platform, name).await;
        }
        Kind::Broker => {
            say(None, "broker down");
            platform.broker.down();
            tokio::time::sleep(OUTAGE).await;
            platform.broker.up();
            say(None, "broker up");
        }
    }
    Ok(())
}

#[cfg(feature = "postgres")]
const DATABASE_FAULT: &str = "database connections cut";
#[cfg(not(feature = "postgres"))]
const DATABASE_FAULT: &str = "database locked";

/// Ends all connections to the database, for a while as soon as they are made.
#[cfg(feature = "postgres")]
async fn interrupt(platform: &Platform, name: Name) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let end = tokio::time::Instant::now() + OUTAGE;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while tokio::time::Instant::now() < end {
        ticks.tick().await;
        // Our own other connections are among those that end.
        let _ = sqlx::query(sql).execute(platform.pool(name)).await;
    }
}

/// SQLite has no server that could be killed: its database is that of the processes, which are. It is locked.
#[cfg(not(feature = "postgres"))]
async fn interrupt(platform: &Platform, name: Name) {
    let Ok(mut connection) = platform.pool(name).acquire().await else {
        return;
    };
    if sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
        .is_ok()
    {
        tokio::time::sleep(OUTAGE).await;
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
}
