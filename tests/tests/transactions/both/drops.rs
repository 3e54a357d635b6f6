//! Futures dropped at any time.

use std::time::Duration;

use futures_util::future::join_all;
use outbox_runtime::{Outbox, transactional};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Db, OrderPlacedV1, ShopError, Tx, open_with, orders_with_events};

#[transactional]
async fn place_several(tx: &mut Tx<'_>, first: i64) -> Result<(), ShopError> {
    for order_id in [first, first + 1] {
        sqlx::query("INSERT INTO orders (id) VALUES ($1)")
            .bind(order_id)
            .execute(&mut **tx)
            .await?;
        tx.emit(OrderPlacedV1 { order_id })?;
    }
    tx.savepoint(async |tx| {
        sqlx::query("INSERT INTO orders (id) VALUES ($1)")
            .bind(first + 2)
            .execute(&mut **tx)
            .await?;
        tx.emit(OrderPlacedV1 { order_id: first + 2 })?;
        Ok(())
    })
    .await
}

/// One transaction, given up after a random time; whether it said that it was committed.
async fn try_once(outbox: &Outbox<Db>, first: i64, patience: Duration) -> bool {
    matches!(
        tokio::time::timeout(patience, place_several(outbox, first)).await,
        Ok(Ok(()))
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_events_are_equal_whenever_a_future_is_dropped() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (_database, outbox) = open_with(4).await;
    let mut committed = Vec::new();
    let mut next = 1;
    for _ in 0..60 {
        let wave: Vec<_> = (0..6)
            .map(|_| {
                next += 3;
                (next, Duration::from_micros(random.random_range(0..12_000)))
            })
            .collect();
        let ends = join_all(
            wave.iter()
                .map(|&(first, patience)| try_once(&outbox, first, patience)),
        )
        .await;
        committed.extend(
            wave.iter()
                .zip(ends)
                .filter(|(_, ended)| *ended)
                .map(|((first, _), _)| *first),
        );
    }
    // A write outside of any transaction must not fall into one that somebody left open.
    for id in 1_000_000_i64..1_000_020 {
        sqlx::query("INSERT INTO orders (id) VALUES ($1)")
            .bind(id)
            .execute(outbox.pool())
            .await
            .unwrap();
    }
    outbox.pool().close().await;
    let outbox = Outbox::new(reopened(&outbox).await);
    let removed = sqlx::query("DELETE FROM orders WHERE id >= 1000000")
        .execute(outbox.pool())
        .await
        .unwrap();
    assert_eq!(removed.rows_affected(), 20, "a plain write was lost");
    let orders = orders_with_events(&outbox).await;
    assert!(
        committed
            .iter()
            .all(|first| (0..3).all(|more| orders.contains(&(first + more)))),
        "a commit was lost"
    );
    assert_eq!(orders.len() % 3, 0, "half a transaction");
    println!(
        "{} of 360 committed, {} said so",
        orders.len() / 3,
        committed.len()
    );
}

/// New connections to the same database.
async fn reopened(outbox: &Outbox<Db>) -> sqlx::Pool<Db> {
    let options = outbox.pool().connect_options();
    sqlx::Pool::connect_with((*options).clone()).await.unwrap()
}
