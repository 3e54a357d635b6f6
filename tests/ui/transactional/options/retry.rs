//! Arguments that cannot be used with `retry`.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

struct Command {
    id: u64,
}

#[transactional(retry = 3)]
async fn upload(_: &mut OutboxTx<'_, Sqlite>, id: u64, command: Command, log: &mut Vec<u64>) -> Result<(), Error> {
    log.push(id + command.id);
    Ok(())
}

fn main() {}
