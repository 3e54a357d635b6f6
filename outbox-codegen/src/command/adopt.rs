//! `outbox adopt`: this is the log, moved.

use outbox_runtime::store::Adopt;
use outbox_runtime::{PostgresStore, SqliteStore};

use super::relocated;
use crate::Exit;
use crate::arguments::Adopt as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let adopt = Adopt {
        without_cursor: arguments.without_cursor.map(Into::into),
        without_kafka_cursor: arguments.without_kafka_cursor,
        dry_run: arguments.dry_run,
    };
    let adopted = match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
        Database::Postgres(pool) => PostgresStore::new(&pool).tables(&tables).adopt(adopt).await,
        Database::Sqlite(pool) => SqliteStore::new(&pool).tables(&tables).adopt(adopt).await,
    };
    let adopted = adopted.map_err(|error| relocated::failure(error, "cannot adopt the log"))?;
    let form = relocated::Form {
        done: "adopted the log",
        skipped: "",
        dry_run: arguments.dry_run,
        json: arguments.json,
    };
    relocated::report(&adopted, form)
}
