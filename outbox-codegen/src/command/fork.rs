//! `outbox fork`: this is a copy of a log that lives on elsewhere.

use outbox_runtime::store::Fork;
use outbox_runtime::{PostgresStore, SqliteStore};

use super::relocated;
use crate::Exit;
use crate::arguments::Fork as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let fork = Fork {
        send_backlog: arguments.send_backlog,
        physical_copy: arguments.physical_copy,
        dry_run: arguments.dry_run,
    };
    let forked = match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
        Database::Postgres(pool) => PostgresStore::new(&pool).tables(&tables).fork(fork).await,
        Database::Sqlite(pool) => SqliteStore::new(&pool).tables(&tables).fork(fork).await,
    };
    let forked = forked.map_err(|error| relocated::failure(error, "cannot fork the log"))?;
    let form = relocated::Form {
        done: "the copy is now a separate log",
        skipped: ": the original sends the copied ones; messages written here before are not sent (see --send-backlog)",
        dry_run: arguments.dry_run,
        json: arguments.json,
    };
    relocated::report(&forked, form)
}
