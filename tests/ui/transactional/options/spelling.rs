//! Options that do not exist, or have no such value.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional(isolaton = "serializable", retries = 3, timeout = 5)]
async fn names(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional(isolation = "seriallizable", retry = "3", outbox)]
async fn values(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional(isolation = Serializable, retry = -1, retry = 2)]
async fn more_values(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional(isolation = "snapshot")]
async fn unknown(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

async fn caller(outbox: &outbox_runtime::Outbox<Sqlite>) {
    // With a wrong option alone, callers are still right.
    let _ = names(outbox).await;
}

fn main() {}
