//! First arguments that are no `&mut OutboxTx`.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::{Postgres, Sqlite, SqliteConnection};

type PgTx<'c> = OutboxTx<'c, Postgres>;

#[transactional]
async fn none() -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn by_value(tx: OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn alias_by_value(tx: PgTx<'_>, id: u64) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn shared(tx: &OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn second(id: u64, tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn connection(tx: &mut SqliteConnection) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn text(tx: &mut String) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn no_lifetime(tx: &mut OutboxTx<Sqlite>) -> Result<(), Error> {
    Ok(())
}

struct Service;

impl Service {
    #[transactional]
    async fn method(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
