//! Joining twice without reborrowing.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional]
async fn part(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn whole(tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    part(tx).await?;
    part(tx).await
}

fn main() {}
