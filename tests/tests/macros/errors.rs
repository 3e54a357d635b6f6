//! The error types that transactional functions have.

use outbox_runtime::{ErrorKind, OutboxTx, transactional};
use sqlx::Sqlite;

use crate::outbox::{WordAddedV1, open};

type LiteTx<'c> = OutboxTx<'c, Sqlite>;

#[transactional(retry = 1)]
async fn with_anyhow(tx: &mut LiteTx<'_>, word: &str) -> anyhow::Result<()> {
    sqlx::query("INSERT INTO words (word) VALUES (?)")
        .bind(word)
        .execute(&mut **tx)
        .await?;
    tx.emit(WordAddedV1::new(word))?;
    Ok(())
}

#[transactional(retry = 1)]
async fn boxed(tx: &mut LiteTx<'_>, word: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tx.emit(WordAddedV1::new(word))?;
    Ok(())
}

#[transactional(retry = 1)]
async fn its_own(tx: &mut LiteTx<'_>, word: &str) -> Result<(), outbox_runtime::Error> {
    tx.emit(WordAddedV1::new(word)).map(drop)
}

#[transactional(retry = 1)]
async fn generic<E>(tx: &mut LiteTx<'_>, word: &str) -> Result<(), E>
where
    E: std::error::Error + From<outbox_runtime::Error> + 'static,
{
    its_own(tx, word).await?;
    Ok(())
}

#[tokio::test]
async fn any_of_them_holds_ours() {
    let (_database, outbox) = open().await;
    let kind = |error: &anyhow::Error| {
        error
            .downcast_ref::<outbox_runtime::Error>()
            .map(outbox_runtime::Error::kind)
    };
    let refused = with_anyhow(&outbox, "").await.unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::EmptyKey));
    let refused = boxed(&outbox, "").await.unwrap_err();
    assert_eq!(
        refused.downcast_ref::<outbox_runtime::Error>().unwrap().kind(),
        ErrorKind::EmptyKey
    );
    assert_eq!(
        its_own(&outbox, "").await.unwrap_err().kind(),
        ErrorKind::EmptyKey
    );
    let refused = generic::<outbox_runtime::Error>(&outbox, "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::EmptyKey);
    with_anyhow(&outbox, "a").await.unwrap();
}
