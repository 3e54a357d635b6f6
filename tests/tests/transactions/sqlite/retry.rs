//! A busy database is tried again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use outbox_runtime::{Outbox, transactional};
use sqlx::sqlite::SqlitePoolOptions;

use super::both::{Tx, orders_with_events, place};
use super::{Db, open_with};
use crate::shop::ShopError;

#[transactional(retry = 20)]
async fn place_retrying(tx: &mut Tx<'_>, order_id: i64) -> Result<i64, ShopError> {
    place(tx, order_id).await
}

async fn impatient(outbox: &Outbox<Db>) -> Outbox<Db> {
    let options = (*outbox.pool().connect_options())
        .clone()
        .busy_timeout(Duration::from_millis(1));
    Outbox::new(SqlitePoolOptions::new().connect_with(options).await.unwrap())
}

#[tokio::test]
async fn a_locked_file_is_waited_for() {
    let (_database, outbox) = open_with(2).await;
    let impatient = impatient(&outbox).await;
    let holder = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(matches!(place(&impatient, 1).await, Err(ShopError::Outbox(_))));
    let mut retrying = tokio::spawn(async move { place_retrying(&impatient, 2).await });
    let waited = tokio::time::timeout(Duration::from_millis(30), &mut retrying).await;
    assert!(waited.is_err(), "it ended while the file was locked: {waited:?}");
    drop(holder);
    retrying.await.unwrap().unwrap();
    assert_eq!(orders_with_events(&outbox).await, [2]);
}

#[tokio::test]
async fn other_errors_are_not() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[transactional(retry = 5)]
    async fn refuse(_: &mut Tx<'_>) -> Result<(), ShopError> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Err(ShopError::Refused)
    }
    let (_database, outbox) = open_with(2).await;
    assert!(refuse(&outbox).await.is_err());
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
}

/// Keeps nothing of the error but what it wrote.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

impl From<outbox_runtime::Error> for Words {
    fn from(error: outbox_runtime::Error) -> Self {
        Self(error.to_string())
    }
}

#[transactional(retry = 20)]
async fn insert_hiding(tx: &mut Tx<'_>, order_id: i64) -> Result<(), Words> {
    let insert = sqlx::query("INSERT INTO orders (id) VALUES ($1)").bind(order_id);
    insert
        .execute(&mut **tx)
        .await
        .map_err(|error| Words(error.to_string()))?;
    Ok(())
}

/// The lock is waited for at BEGIN, whatever the function's error makes of that.
#[tokio::test]
async fn a_locked_file_is_waited_for_though_the_error_hides_it() {
    let (_database, outbox) = open_with(2).await;
    let impatient = impatient(&outbox).await;
    let holder = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut retrying = tokio::spawn(async move { insert_hiding(&impatient, 2).await });
    let waited = tokio::time::timeout(Duration::from_millis(30), &mut retrying).await;
    assert!(waited.is_err(), "it ended while the file was locked: {waited:?}");
    drop(holder);
    retrying.await.unwrap().unwrap();
}
