//! `outbox prune`: deletes what was delivered and is old enough.

use std::fmt::Write;

use indicatif::ProgressBar;
use outbox_runtime::retention::{Pruned, Pruner, Retention};
use outbox_runtime::store::{Store, StoreError, StoreErrorKind};
use outbox_runtime::{PostgresStore, SqliteStore};
use serde::Serialize;

use super::print;
use crate::Exit;
use crate::arguments::Prune as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;
use crate::logging::{self, LogFormat};

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let what = &arguments.what;
    let retention = Retention::off()
        .keep(what.keep.unwrap_or_default())
        .max_bytes(what.keep_bytes)
        .dead_letters(what.dead_letters)
        .batch(arguments.batch);
    retention
        .check()
        .map_err(|error| Failure::usage(error.to_string()).because(error))?;
    drop(logging::start(&ProgressBar::hidden(), LogFormat::default()));
    let dry_run = arguments.dry_run;
    let pruned = match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
        Database::Postgres(pool) => {
            prune(PostgresStore::new(&pool).tables(&tables), retention, dry_run).await
        }
        Database::Sqlite(pool) => prune(SqliteStore::new(&pool).tables(&tables), retention, dry_run).await,
    }?;
    if arguments.json {
        let json = serde_json::to_string(&PruneOutput::of(&pruned, dry_run))
            .map_err(|error| Failure::failed("cannot write the result as JSON").because(error))?;
        print(json)?;
    } else {
        print(text(&pruned, dry_run))?;
    }
    Ok(Exit::Done)
}

async fn prune<S: Store>(store: S, retention: Retention, dry_run: bool) -> Result<Pruned, Failure> {
    let pruner =
        Pruner::new(store, retention).map_err(|error| Failure::usage(error.to_string()).because(error))?;
    match dry_run {
        true => pruner.dry_run().await,
        false => pruner.run_once().await,
    }
    .map_err(failure)
}

fn failure(error: StoreError) -> Failure {
    let failure = match error.kind() {
        StoreErrorKind::Configuration => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    };
    failure.because(error)
}

/// The fields and their order are a promise to programs.
#[derive(Debug, Serialize)]
struct PruneOutput {
    dry_run: bool,
    messages: u64,
    partitions_emptied: u64,
    partitions_dropped: u64,
    partitions_busy: u64,
    dead_letters: u64,
}

impl PruneOutput {
    fn of(pruned: &Pruned, dry_run: bool) -> Self {
        Self {
            dry_run,
            messages: pruned.messages,
            partitions_emptied: pruned.partitions_emptied,
            partitions_dropped: pruned.partitions_dropped,
            partitions_busy: pruned.partitions_busy,
            dead_letters: pruned.dead_letters,
        }
    }
}

fn text(pruned: &Pruned, dry_run: bool) -> String {
    let done = match dry_run {
        true => "dry run: nothing was deleted\nwould delete",
        false => "deleted",
    };
    let mut text = format!("{done}  {} delivered messages", pruned.messages);
    // Writing to a string cannot fail.
    if pruned.partitions_emptied + pruned.partitions_dropped > 0 {
        let _ = write!(
            text,
            "\npartitions  {} emptied, {} dropped",
            pruned.partitions_emptied, pruned.partitions_dropped
        );
    }
    if pruned.partitions_busy > 0 {
        let _ = write!(
            text,
            "\nin use      {} partitions could not be emptied or dropped; the next run tries again",
            pruned.partitions_busy
        );
    }
    if pruned.dead_letters > 0 {
        let _ = write!(text, "\ndead letters  {}", pruned.dead_letters);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_was_deleted_and_what_would_be() {
        let mut pruned = Pruned::default();
        pruned.messages = 7;
        assert_eq!(text(&pruned, false), "deleted  7 delivered messages");
        pruned.dead_letters = 2;
        (pruned.partitions_emptied, pruned.partitions_busy) = (3, 1);
        let dry = text(&pruned, true);
        assert!(
            dry.starts_with("dry run: nothing was deleted\nwould delete  7 delivered"),
            "{dry}"
        );
        assert!(
            dry.contains("3 emptied, 0 dropped") && dry.ends_with("dead letters  2"),
            "{dry}"
        );
        assert_eq!(
            serde_json::to_string(&PruneOutput::of(&pruned, true)).unwrap(),
            r#"{"dry_run":true,"messages":7,"partitions_emptied":3,"partitions_dropped":0,"partitions_busy":1,"dead_letters":2}"#
        );
    }
}
