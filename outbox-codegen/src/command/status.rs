//! `outbox status`: how far the relay is behind.

use std::fmt::{self, Write};
use std::time::Duration;

use outbox_runtime::modes::ModeSetting;
use outbox_runtime::schema::{SchemaDatabase, TablesVersion, check_schema};
use outbox_runtime::store::{Controls, Pause, SkipRequest, Store, StoreError, StoreStatus, Throttle};
use outbox_runtime::{DeliveryMode, PostgresStore, SqliteStore, Tables};
use serde::Serialize;
use sqlx::Pool;

use super::{mode, print};
use crate::Exit;
use crate::arguments::Status as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let (version, status) =
        match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
            Database::Postgres(pool) => {
                let controls = Controls::in_postgres(&pool, &tables);
                let store = PostgresStore::new(&pool).tables(&tables);
                read(&pool, &tables, store, &controls).await
            }
            Database::Sqlite(pool) => {
                let controls = Controls::in_sqlite(&pool, &tables);
                let store = SqliteStore::new(&pool).tables(&tables);
                read(&pool, &tables, store, &controls).await
            }
        }?;
    if arguments.json {
        let json = serde_json::to_string(&status)
            .map_err(|error| Failure::failed("cannot write the status as JSON").because(error))?;
        print(json)?;
    } else {
        print(status.text(version))?;
    }
    Ok(Exit::Done)
}

async fn read<DB: SchemaDatabase>(
    pool: &Pool<DB>,
    tables: &Tables,
    store: impl Store,
    controls: &Controls,
) -> Result<(TablesVersion, Status), Failure> {
    let unreadable = || Failure::failed("cannot read the status");
    let mut connection = pool
        .acquire()
        .await
        .map_err(|error| unreadable().because(error))?;
    let version = check_schema::<DB>(&mut connection, tables).await?;
    drop(connection);
    let status = store
        .status()
        .await
        .map_err(|error| unreadable().because(error))?;
    let decided = Decided::read(controls)
        .await
        .map_err(|error| unreadable().because(error))?;
    Ok((version, Status::new(status, decided)))
}

/// What operators have decided.
#[derive(Debug, Default, Serialize)]
struct Decided {
    paused: Vec<Pause>,
    modes: Vec<ModeSetting>,
    throttles: Vec<Throttle>,
    /// Messages that are skipped when their turn comes.
    skips: Vec<SkipRequest>,
}

impl Decided {
    async fn read(controls: &Controls) -> Result<Self, StoreError> {
        let mut modes = controls.modes().await?;
        modes.retain(|setting| setting.mode.is_some());
        Ok(Self {
            paused: controls.pauses().await?,
            modes,
            throttles: controls.throttles().await?,
            skips: controls.skips().await?,
        })
    }

    /// A line for each, with a break before it.
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for pause in &self.paused {
            let _ = write!(text, "\npaused          {}, {pause}", pause.scope);
        }
        for setting in &self.modes {
            let _ = write!(text, "\nmode            {}", mode::text(setting));
        }
        for throttle in &self.throttles {
            let _ = write!(text, "\nthrottle        {}, {throttle}", throttle.scope);
        }
        for skip in &self.skips {
            let _ = write!(text, "\nto be skipped   the message {}, {skip}", skip.id);
        }
        text
    }
}

/// The version of the shape that `--json` prints.
const SHAPE: u32 = 1;

/// What is printed; the fields and their order are a promise to programs.
#[derive(Debug, Serialize)]
struct Status {
    /// Of this shape, whatever version the tables have.
    schema_version: u32,
    delivery: DeliveryMode,
    backlog: Backlog,
    lease: Option<Lease>,
    dead_letters: DeadLetters,
    #[serde(flatten)]
    decided: Decided,
}

#[derive(Debug, Serialize)]
struct Backlog {
    messages: u64,
    exact: bool,
    /// 0 when there are none.
    oldest_age_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Lease {
    holder: String,
    epoch: i64,
    age_seconds: f64,
}

#[derive(Debug, Serialize)]
struct DeadLetters {
    dead: u64,
    parked: u64,
}

impl Status {
    fn new(status: StoreStatus, decided: Decided) -> Self {
        Self {
            schema_version: SHAPE,
            delivery: status.delivery,
            backlog: Backlog {
                messages: status.backlog.messages,
                exact: status.backlog.exact,
                oldest_age_seconds: seconds(status.backlog.oldest_age.unwrap_or_default()),
            },
            lease: status.lease.map(|lease| Lease {
                holder: lease.holder,
                epoch: lease.epoch,
                age_seconds: seconds(lease.age),
            }),
            dead_letters: DeadLetters {
                dead: status.dead,
                parked: status.parked,
            },
            decided,
        }
    }
}

/// To the millisecond: more is noise.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

impl Status {
    fn text(&self, tables: impl fmt::Display) -> String {
        let mut text = format!(
            "tables          version {tables}\ndelivery        {}\n",
            match self.delivery {
                DeliveryMode::ExactlyOnce =>
                    "exactly_once (from the database; only a relay reads Kafka's cursor)",
                _ => "at_least_once",
            }
        );
        let about = if self.backlog.exact { "" } else { "about " };
        // Writing to a string cannot fail.
        let _ = write!(text, "backlog         {about}{} messages", self.backlog.messages);
        if self.backlog.messages > 0 {
            let _ = write!(text, ", the oldest {} s old", self.backlog.oldest_age_seconds);
        }
        text += match &self.lease {
            Some(lease) => {
                format!(
                    "\nlease           {}, epoch {}, for {} s",
                    lease.holder, lease.epoch, lease.age_seconds
                )
            }
            None => "\nlease           none: no relay is active".to_owned(),
        }
        .as_str();
        let DeadLetters { dead, parked } = self.dead_letters;
        let _ = write!(text, "\ndead letters    {dead} dead, {parked} parked");
        text + &self.decided.text()
    }
}

#[cfg(test)]
mod tests {
    use outbox_runtime::store::LeaseStatus;

    use super::*;

    fn status(lease: Option<LeaseStatus>, oldest_age: Option<Duration>) -> Status {
        let backlog = outbox_runtime::store::Backlog {
            messages: 12,
            exact: true,
            oldest_age,
        };
        let status = StoreStatus {
            backlog,
            lease,
            dead: 1,
            parked: 2,
            delivery: DeliveryMode::AtLeastOnce,
        };
        Status::new(status, Decided::default())
    }

    #[test]
    fn the_json_is_what_programs_were_promised() {
        let lease = LeaseStatus {
            holder: "host:7".to_owned(),
            epoch: 3,
            age: Duration::from_micros(1_500_400),
        };
        let busy = status(Some(lease), Some(Duration::from_millis(400)));
        assert_eq!(
            serde_json::to_string(&busy).unwrap(),
            r#"{"schema_version":1,"delivery":"at_least_once","backlog":{"messages":12,"exact":true,"oldest_age_seconds":0.4},"lease":{"holder":"host:7","epoch":3,"age_seconds":1.5},"dead_letters":{"dead":1,"parked":2},"paused":[],"modes":[],"throttles":[],"skips":[]}"#
        );
        let idle = serde_json::to_string(&status(None, None)).unwrap();
        assert!(
            idle.contains(r#""oldest_age_seconds":0.0},"lease":null"#),
            "{idle}"
        );
    }

    #[test]
    fn the_text_is_for_people() {
        assert_eq!(
            status(None, Some(Duration::from_secs(9))).text(7),
            "tables          version 7\ndelivery        at_least_once\nbacklog         12 messages, the oldest 9 s old\n\
             lease           none: no relay is active\ndead letters    1 dead, 2 parked"
        );
    }
}
