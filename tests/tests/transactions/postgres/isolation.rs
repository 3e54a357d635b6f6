//! Isolation, and who may join whom.

use outbox_runtime::{ErrorKind, Isolation, TransactionOptions, transactional};

use super::both::Tx;
use super::open_with;
use crate::shop::ShopError;

async fn level(tx: &mut Tx<'_>) -> Result<String, ShopError> {
    Ok(
        sqlx::query_scalar("SELECT current_setting('transaction_isolation')")
            .fetch_one(&mut **tx)
            .await?,
    )
}

#[transactional]
async fn any(tx: &mut Tx<'_>) -> Result<String, ShopError> {
    level(tx).await
}

#[transactional(isolation = "read_committed")]
async fn read_committed(tx: &mut Tx<'_>) -> Result<String, ShopError> {
    level(tx).await
}

#[transactional(isolation = "repeatable_read")]
async fn repeatable_read(tx: &mut Tx<'_>) -> Result<String, ShopError> {
    any(&mut *tx).await?;
    read_committed(&mut *tx).await?;
    level(tx).await
}

#[transactional(isolation = "serializable")]
async fn serializable(tx: &mut Tx<'_>) -> Result<String, ShopError> {
    repeatable_read(&mut *tx).await?;
    level(tx).await
}

#[tokio::test]
async fn each_level_is_what_it_says() {
    let (_database, outbox) = open_with(2).await;
    assert_eq!(any(&outbox).await.unwrap(), "read committed");
    assert_eq!(read_committed(&outbox).await.unwrap(), "read committed");
    assert_eq!(repeatable_read(&outbox).await.unwrap(), "repeatable read");
    assert_eq!(serializable(&outbox).await.unwrap(), "serializable");
    let options = TransactionOptions::new().isolation(Isolation::Serializable);
    assert_eq!(
        outbox
            .transaction_with(options, async |tx| level(tx).await)
            .await
            .unwrap(),
        "serializable"
    );
}

#[tokio::test]
async fn a_stricter_call_cannot_join() {
    let (_database, outbox) = open_with(2).await;
    let joined = outbox
        .transaction(async |tx| serializable(&mut *tx).await)
        .await
        .unwrap_err();
    assert_eq!(joined.kind(), ErrorKind::WeakerIsolation);
    let says = joined.to_string();
    assert!(
        says.contains("`serializable`") && says.contains("`read_committed`"),
        "{says}"
    );
    let options = TransactionOptions::new().isolation(Isolation::RepeatableRead);
    let joined = outbox
        .transaction_with(options, async |tx| serializable(&mut *tx).await)
        .await
        .unwrap_err();
    assert_eq!(joined.kind(), ErrorKind::WeakerIsolation);
}

#[tokio::test]
async fn the_servers_default_counts() {
    let (database, outbox) = open_with(1).await;
    sqlx::query("SET default_transaction_isolation = 'serializable'")
        .execute(&database.pool)
        .await
        .unwrap();
    assert_eq!(
        outbox
            .transaction(async |tx| serializable(&mut *tx).await)
            .await
            .unwrap(),
        "serializable"
    );
}
