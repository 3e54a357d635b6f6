//! A new transaction inside another one.

use std::time::{Duration, Instant};

use outbox_runtime::ErrorKind;

use super::{ShopError, open_with, orders_with_events, place};

#[tokio::test]
async fn one_that_would_wait_for_itself_is_refused_at_once() {
    let (_database, outbox) = open_with(1).await;
    let started = Instant::now();
    let nested = outbox
        .transaction(async |tx| {
            place(&mut *tx, 1).await?;
            place(&outbox.clone(), 2).await
        })
        .await;
    let nested = nested.unwrap_err();
    assert_eq!(nested.kind(), ErrorKind::NestedTransaction);
    assert!(nested.to_string().contains("&mut *tx"), "{nested}");
    // Less than a pool waits for a connection.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(orders_with_events(&outbox).await, [0_i64; 0]);
}

#[tokio::test]
async fn one_after_another_is_not_nested() {
    let (_database, outbox) = open_with(1).await;
    place(&outbox, 1).await.unwrap();
    outbox
        .transaction(async |_| {
            // A task of its own is not inside; it waits for its turn.
            let outbox = outbox.clone();
            Ok::<_, ShopError>(tokio::spawn(async move { place(&outbox, 2).await }))
        })
        .await
        .unwrap()
        .await
        .unwrap()
        .unwrap();
    let (third, fourth) = tokio::join!(place(&outbox, 3), place(&outbox, 4));
    assert_eq!((third.unwrap(), fourth.unwrap()), (3, 4));
    assert_eq!(orders_with_events(&outbox).await, [1, 2, 3, 4]);
}
