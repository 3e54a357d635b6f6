//! Something that is no event is emitted.

use outbox_runtime::{Error, OutboxTx, transactional};

struct OrderPlacedV1;

#[transactional]
async fn place(tx: &mut OutboxTx<'_, sqlx::Sqlite>) -> Result<(), Error> {
    tx.emit(OrderPlacedV1)?;
    Ok(())
}

fn main() {}
