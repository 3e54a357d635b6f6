//! `outbox pause`, `outbox resume` and `outbox audit`: what relays leave alone for a while, and who decided so.

use outbox_runtime::schema::check_schema;
use outbox_runtime::store::{AuditEntry, Controls, Decision, Pause, StoreError};
use sqlx::{Postgres, Sqlite};

use super::print;
use crate::Exit;
use crate::arguments::{Audit, Pause as PauseArguments, Resume, Where};
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

/// The decisions about the log that is named.
pub(super) async fn open(place: &Where) -> Result<Controls, Failure> {
    let address = place.database.address()?;
    let tables = place.tables.tables(address.dialect())?;
    let unreadable = |error| Failure::failed("cannot read what is paused").because(error);
    match connect(&address, IfMissing::Fail, place.patience.connect_timeout).await? {
        Database::Postgres(pool) => {
            let mut connection = pool.acquire().await.map_err(unreadable)?;
            check_schema::<Postgres>(&mut connection, &tables).await?;
            Ok(Controls::in_postgres(&pool, &tables))
        }
        Database::Sqlite(pool) => {
            let mut connection = pool.acquire().await.map_err(unreadable)?;
            check_schema::<Sqlite>(&mut connection, &tables).await?;
            Ok(Controls::in_sqlite(&pool, &tables))
        }
    }
}

pub(super) fn failed(error: StoreError) -> Failure {
    Failure::failed(error.to_string()).because(error)
}

pub(crate) async fn pause(arguments: PauseArguments) -> Result<Exit, Failure> {
    let controls = open(&arguments.place).await?;
    let scope = arguments.scope.scope();
    let decision = Decision::new(arguments.operator.by, arguments.reason);
    match controls.pause(&scope, &decision).await.map_err(failed)? {
        true => print(format_args!("paused {scope}"))?,
        false => {
            let paused: Vec<Pause> = controls.pauses().await.map_err(failed)?;
            let found = paused.into_iter().find(|pause| pause.scope == scope);
            let how = found.map_or_else(|| "paused".to_owned(), |pause| pause.to_string());
            print(format_args!("nothing to do: {scope} is {how}"))?;
        }
    }
    Ok(Exit::Done)
}

pub(crate) async fn resume(arguments: Resume) -> Result<Exit, Failure> {
    let controls = open(&arguments.place).await?;
    let scope = arguments.scope.scope();
    let decision = Decision::new(arguments.operator.by, arguments.reason);
    match controls.resume(&scope, &decision).await.map_err(failed)? {
        true => print(format_args!("resumed {scope}"))?,
        false => print(format_args!("nothing to do: {scope} is not paused"))?,
    }
    Ok(Exit::Done)
}

pub(crate) async fn audit(arguments: Audit) -> Result<Exit, Failure> {
    let controls = open(&arguments.place).await?;
    let entries = controls.audit(arguments.limit).await.map_err(failed)?;
    if arguments.json {
        let json = serde_json::to_string(&entries)
            .map_err(|error| Failure::failed("cannot write the audit table as JSON").because(error))?;
        print(json)?;
        return Ok(Exit::Done);
    }
    for entry in &entries {
        print(text(entry))?;
    }
    Ok(Exit::Done)
}

fn text(entry: &AuditEntry) -> String {
    let at = entry.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let what = [entry.action.as_str(), entry.scope.as_str(), entry.name.as_str()];
    let what: Vec<&str> = what.into_iter().filter(|word| !word.is_empty()).collect();
    let change = match (&entry.before, &entry.after) {
        (None, None) => String::new(),
        (before, after) => format!(
            "  {} -> {}",
            before.as_deref().unwrap_or("-"),
            after.as_deref().unwrap_or("-")
        ),
    };
    let reason = if entry.reason.is_empty() { "" } else { ": " };
    format!(
        "{at}  {}{change}  {}{reason}{}",
        what.join(" "),
        entry.by,
        entry.reason
    )
}
