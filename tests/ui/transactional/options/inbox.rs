//! An inbox without a consumer, messages that are none, results that cannot be repeated.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional(inbox = id)]
async fn nobody(_: &mut OutboxTx<'_, Sqlite>, id: &str) -> Result<(), Error> {
    Ok(())
}

#[transactional(consumer = "shop")]
async fn nothing(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

#[transactional(message = id, consumer = "")]
async fn names(_: &mut OutboxTx<'_, Sqlite>, id: &str) -> Result<(), Error> {
    Ok(())
}

#[transactional(inbox = "m", consumer)]
async fn values(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
    Ok(())
}

fn main() {}
