//! `outbox migrate`: makes the tables, and room for messages to come.

use outbox_runtime::PostgresStore;
use outbox_runtime::schema::{Migrated, SCHEMA_VERSION, migrate_as};
use outbox_runtime::store::Store;

use super::print;
use crate::Exit;
use crate::arguments::Migrate;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Migrate) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let layout = arguments.partitions.layout(address.dialect())?;
    let (migrated, made) =
        match connect(&address, IfMissing::Create, arguments.patience.connect_timeout).await? {
            Database::Postgres(pool) => {
                let migrated = migrate_as(layout, &pool, &tables).await?;
                let made = PostgresStore::new(&pool).tables(&tables).make_room().await;
                let made = made.map_err(|error| {
                    Failure::failed("cannot create partitions for future messages").because(error)
                })?;
                (migrated, made)
            }
            Database::Sqlite(pool) => (migrate_as(layout, &pool, &tables).await?, 0),
        };
    match migrated {
        Migrated::Applied => print(format_args!(
            "the outbox tables now have version {SCHEMA_VERSION}"
        )),
        Migrated::UpToDate | Migrated::Newer(_) if made > 0 => {
            print(format_args!("created {made} partitions for future messages"))
        }
        Migrated::UpToDate => print(format_args!(
            "nothing to do: the outbox tables have version {SCHEMA_VERSION}"
        )),
        Migrated::Newer(version) => print(format_args!(
            "nothing to do: the outbox tables have version {version}"
        )),
    }?;
    Ok(Exit::Done)
}
