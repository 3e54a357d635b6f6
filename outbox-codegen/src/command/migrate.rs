//! `outbox migrate`: makes the tables.

use outbox_runtime::schema::{Migrated, SCHEMA_VERSION};

use super::print;
use crate::Exit;
use crate::address::Address;
use crate::arguments::Migrate;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Migrate) -> Result<Exit, Failure> {
    let address = Address::parse(&arguments.database.url)?;
    let tables = arguments.tables.tables(address.dialect())?;
    let migrated = match connect(&address, IfMissing::Create, arguments.patience.connect_timeout).await? {
        Database::Postgres(pool) => outbox_runtime::migrate(&pool, &tables).await,
        Database::Sqlite(pool) => outbox_runtime::migrate(&pool, &tables).await,
    }?;
    match migrated {
        Migrated::Applied => print(format_args!(
            "the outbox tables have version {SCHEMA_VERSION} now"
        )),
        Migrated::UpToDate => print(format_args!(
            "nothing to do: the outbox tables have version {SCHEMA_VERSION}"
        )),
    }?;
    Ok(Exit::Done)
}
