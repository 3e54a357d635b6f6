//! Errors in the body are reported in the body.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional]
async fn no_ok(_: &mut OutboxTx<'_, Sqlite>) -> Result<u64, Error> {
    7
}

#[transactional]
async fn other_error(_: &mut OutboxTx<'_, Sqlite>) -> Result<u64, Error> {
    Ok("x".parse()?)
}

#[transactional]
async fn moved(_: &mut OutboxTx<'_, Sqlite>, name: String) -> Result<(), Error> {
    drop(name);
    drop(name);
    Ok(())
}

fn main() {}
