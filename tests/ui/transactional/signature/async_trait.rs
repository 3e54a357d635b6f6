//! `#[async_trait]` rewrites a method before the attribute sees it.

use outbox_runtime::{Error, Outbox, OutboxTx, transactional};
use sqlx::Sqlite;

struct Service(Outbox<Sqlite>);

#[async_trait::async_trait]
trait Uploads {
    async fn upload(&self) -> Result<(), Error>;
}

#[async_trait::async_trait]
impl Uploads for Service {
    #[transactional(outbox = self.0)]
    async fn upload(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
