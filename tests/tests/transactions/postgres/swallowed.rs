//! A handler that goes on after an SQL error.

use outbox_runtime::{ErrorKind, transactional};

use super::both::{Tx, orders_with_events, place};
use super::open_with;
use crate::shop::ShopError;

async fn fail(tx: &mut Tx<'_>) {
    let failed = sqlx::query("INSERT INTO orders (id) VALUES (-1)")
        .execute(&mut **tx)
        .await;
    assert!(failed.is_err());
}

#[tokio::test]
async fn it_is_an_error_with_events_and_without() {
    #[transactional]
    async fn swallow(tx: &mut Tx<'_>, events: bool) -> Result<(), ShopError> {
        if events {
            place(&mut *tx, 1).await?;
        }
        fail(tx).await;
        Ok(())
    }
    let (_database, outbox) = open_with(2).await;
    for events in [true, false] {
        assert_eq!(
            swallow(&outbox, events).await.unwrap_err().kind(),
            ErrorKind::SwallowedError
        );
    }
    assert_eq!(orders_with_events(&outbox).await, [0_i64; 0]);
}

#[tokio::test]
async fn inside_a_savepoint_only_that_part_is_lost() {
    let (_database, outbox) = open_with(2).await;
    outbox
        .transaction(async |tx| {
            let part = tx
                .savepoint(async |tx| {
                    place(&mut *tx, 1).await?;
                    fail(tx).await;
                    Ok::<_, ShopError>(())
                })
                .await;
            assert_eq!(part.unwrap_err().kind(), ErrorKind::SwallowedError);
            place(&mut *tx, 2).await
        })
        .await
        .unwrap();
    assert_eq!(orders_with_events(&outbox).await, [2]);
}

#[tokio::test]
async fn a_transaction_of_sqlx_inside_that_fails_to_begin_ends_all() {
    use sqlx::Connection;
    let (_database, outbox) = open_with(2).await;
    let ended = outbox
        .transaction(async |tx| {
            place(&mut *tx, 1).await?;
            fail(&mut *tx).await;
            assert!((**tx).begin().await.is_err());
            Ok::<_, ShopError>(())
        })
        .await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::EndedByHand);
    assert_eq!(orders_with_events(&outbox).await, [0_i64; 0]);
}
