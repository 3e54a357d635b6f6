//! Calls with something that is no source of a transaction.

use outbox_runtime::{Error, Outbox, OutboxTx, transactional};
use sqlx::{PgPool, Postgres, Sqlite};

#[transactional]
async fn upload(_: &mut OutboxTx<'_, Postgres>) -> Result<(), Error> {
    Ok(())
}

async fn calls(pool: &PgPool, other: &Outbox<Sqlite>, outbox: Outbox<Postgres>) -> Result<(), Error> {
    upload(pool).await?;
    upload(other).await?;
    upload(outbox.clone()).await?;
    upload(outbox.pool().begin().await.unwrap()).await
}

fn main() {}
