//! Other attributes around `#[transactional]`.

use outbox_runtime::{Error, Outbox, OutboxTx, transactional};
use sqlx::Sqlite;
use tracing::instrument;

use crate::outbox::{WordAddedV1, open, words};

type LiteTx<'c> = OutboxTx<'c, Sqlite>;

/// Doc comments stay.
#[transactional]
#[instrument]
async fn below(tx: &mut LiteTx<'_>, word: &str) -> Result<(), Error> {
    tx.emit(WordAddedV1::new(word)).map(drop)
}

#[instrument]
#[transactional]
async fn above(tx: &mut LiteTx<'_>, word: &str) -> Result<(), Error> {
    below(tx, word).await
}

#[transactional]
#[instrument(skip(tx), fields(word = %word), err, ret)]
async fn below_with_arguments(tx: &mut LiteTx<'_>, word: String) -> Result<(), Error> {
    above(&mut *tx, &word).await
}

#[instrument(skip(tx), err(Debug))]
#[transactional(retry = 1)]
async fn above_with_arguments(tx: &mut LiteTx<'_>, word: String) -> Result<(), Error> {
    below_with_arguments(&mut *tx, word.clone()).await
}

#[cfg(test)]
#[allow(clippy::unused_async, reason = "only there to stand beside the others")]
#[must_use = "nobody knows"]
#[transactional]
#[inline]
async fn others(
    #[allow(unused_variables)] tx: &mut LiteTx<'_>,
    #[allow(unused_variables)] word: u8,
) -> Result<u8, Error> {
    Ok(1)
}

struct Service(Outbox<Sqlite>);

impl Service {
    #[instrument(skip_all, name = "run")]
    #[transactional(outbox = self.0)]
    async fn above(&self, tx: &mut LiteTx<'_>) -> Result<(), Error> {
        above(tx, "e").await
    }

    #[transactional(outbox = self.0)]
    #[instrument(skip_all)]
    async fn below(&self, tx: &mut LiteTx<'_>) -> Result<(), Error> {
        above(tx, "f").await
    }
}

#[tokio::test]
async fn they_can_stand_on_either_side() {
    let (_database, outbox) = open().await;
    below(&outbox, "a").await.unwrap();
    above(&outbox, "b").await.unwrap();
    below_with_arguments(&outbox, "c".to_owned()).await.unwrap();
    let task = {
        let outbox = outbox.clone();
        tokio::spawn(async move { above_with_arguments(&outbox, "d".to_owned()).await })
    };
    task.await.unwrap().unwrap();
    Service(outbox.clone()).above().await.unwrap();
    Service(outbox.clone()).below().await.unwrap();
    assert_eq!(others(&outbox, 1).await.unwrap(), 1);
    assert_eq!(words(&outbox).await, ["a", "b", "c", "d", "e", "f"]);
}
