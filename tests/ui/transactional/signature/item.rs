//! Things that are no function with a body.

use outbox_runtime::{Error, OutboxTx, transactional};
use sqlx::Sqlite;

#[transactional]
struct NoFunction;

#[transactional]
impl NoFunction {}

trait Uploads {
    #[transactional]
    async fn upload(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error>;
}

fn main() {}
