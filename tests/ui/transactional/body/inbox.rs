//! With an inbox: what is no message, and a result that there is none of for a message that comes again.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional(inbox = id, consumer = "shop")]
async fn number(_: &mut OutboxTx<'_, Sqlite>, id: i64) -> Result<(), Error> {
    Ok(())
}

#[transactional(inbox = id, consumer = "shop")]
async fn order(_: &mut OutboxTx<'_, Sqlite>, id: &str) -> Result<i64, Error> {
    Ok(1)
}

fn main() {}
