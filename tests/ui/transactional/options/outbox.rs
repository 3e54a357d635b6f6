//! `outbox = …` that is none, or one of another database.

use outbox_runtime::{Error, Outbox, OutboxTx, transactional};
use sqlx::{Postgres, Sqlite, SqlitePool};

struct Service {
    outbox: Outbox<Postgres>,
    pool: SqlitePool,
}

impl Service {
    #[transactional(outbox = self.outbox)]
    async fn other_database(&self, _: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
        Ok(())
    }

    #[transactional(outbox = self.pool)]
    async fn pool(&self, _: &mut OutboxTx<'_, Sqlite>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
