//! Warnings are those of the function as it was written.

#![deny(warnings)]

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional]
pub async fn unused(tx: &mut OutboxTx<'_, Sqlite>, id: u64, mut name: String) -> Result<(), Error> {
    let unused = name;
    Ok(())
}

fn main() {}
