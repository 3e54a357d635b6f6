//! A BEGIN that is not waited for.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::open_with;
use crate::shop::ShopError;

/// sqlx alone leaves the connection inside of a transaction then: what its next user writes is lost.
#[tokio::test]
async fn what_is_written_on_its_connection_afterwards_is_not_lost() {
    let (database, outbox) = open_with(1).await;
    let observer = PgPool::connect_with((*database.pool.connect_options()).clone())
        .await
        .unwrap();
    for step in 0..100_i64 {
        let given_up = outbox.transaction(async |_| std::future::pending::<Result<(), ShopError>>().await);
        let patience = Duration::from_micros(10 * step.unsigned_abs());
        tokio::select! {
            biased;
            _ = given_up => panic!("it cannot end"),
            () = spin(patience) => {}
        }
        sqlx::query("INSERT INTO orders (id) VALUES ($1)")
            .bind(step + 1)
            .execute(outbox.pool())
            .await
            .unwrap();
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
            .fetch_one(&observer)
            .await
            .unwrap();
        assert_eq!(seen, step + 1, "given up after {patience:?}");
    }
}

/// Waits more exactly than a timer.
async fn spin(time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        tokio::task::yield_now().await;
    }
}
