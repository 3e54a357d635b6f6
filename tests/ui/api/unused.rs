//! What is written but never woken, and an emit whose error is dropped.

#![deny(warnings)]

use outbox_runtime::{Error, Outbox, OutboxEvent, OutboxTx};
use sqlx::{Sqlite, Transaction};

pub async fn enqueue(outbox: Outbox<Sqlite>, mut tx: Transaction<'_, Sqlite>, event: impl OutboxEvent) -> Result<(), Error> {
    outbox.enqueue(&mut tx, event).await?;
    Ok(())
}

pub fn emit(tx: &mut OutboxTx<'_, Sqlite>, event: impl OutboxEvent) {
    tx.emit(event);
}

fn main() {}
