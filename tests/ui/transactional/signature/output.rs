//! Functions that are not async, or return no `Result`.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

struct Answer;

#[transactional]
fn not_async(tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional]
async fn nothing(tx: &mut OutboxTx<'_, Sqlite>) {}

#[transactional]
async fn option(tx: &mut OutboxTx<'_, Sqlite>) -> Option<u64> {
    None
}

#[transactional]
async fn a_type(tx: &mut OutboxTx<'_, Sqlite>) -> Answer {
    Answer
}

#[transactional]
fn all_at_once(id: u64) -> u64 {
    id
}

fn main() {}
