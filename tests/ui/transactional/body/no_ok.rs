//! Without a result at the end.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional]
async fn function(tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
}

struct Service;

impl Service {
    #[transactional]
    async fn method(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
    }
}

#[transactional]
#[transactional]
async fn twice(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

fn main() {}
