//! Serialization failures and deadlocks are tried again, whatever the error type.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use outbox_runtime::{Isolation, TransactionOptions, transactional};
use tokio::sync::Barrier;

use super::both::Tx;
use super::open_with;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Wraps twice, once transparently and once with a source.
#[derive(Debug, thiserror::Error)]
enum Deep {
    #[error("outer")]
    Inner(#[from] Inner),
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
}

#[derive(Debug, thiserror::Error)]
enum Inner {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Reads all counters and changes one of them: two of these cannot both be serializable.
async fn skew(tx: &mut Tx<'_>, id: i64, meet: &Barrier, runs: &AtomicU32) -> Result<(), sqlx::Error> {
    let sum: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(&mut **tx)
        .await?;
    if runs.fetch_add(1, Ordering::Relaxed) < 2 {
        meet.wait().await;
    }
    sqlx::query("INSERT INTO orders (id) VALUES ($1)")
        .bind(id * 100 + sum)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[transactional(isolation = "serializable", retry = 5)]
async fn skew_deep(tx: &mut Tx<'_>, id: i64, meet: Arc<Barrier>, runs: Arc<AtomicU32>) -> Result<(), Deep> {
    skew(tx, id, &meet, &runs).await.map_err(Inner::from)?;
    Ok(())
}

#[transactional(isolation = "serializable", retry = 5)]
async fn skew_boxed(tx: &mut Tx<'_>, id: i64, meet: &Barrier, runs: &AtomicU32) -> Result<(), BoxError> {
    Ok(skew(tx, id, meet, runs).await?)
}

#[transactional(isolation = "serializable")]
async fn skew_once(tx: &mut Tx<'_>, id: i64, meet: &Barrier, runs: &AtomicU32) -> Result<(), BoxError> {
    Ok(skew(tx, id, meet, runs).await?)
}

#[tokio::test]
async fn a_serialization_failure_is_found_behind_any_error() {
    let (_database, outbox) = open_with(4).await;
    let fresh = || (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));

    let (meet, runs) = fresh();
    let (one, two) = tokio::join!(
        skew_deep(&outbox, 1, meet.clone(), runs.clone()),
        skew_deep(&outbox, 2, meet.clone(), runs.clone())
    );
    one.and(two).unwrap();
    assert!(runs.load(Ordering::Relaxed) > 2);

    let (meet, runs) = fresh();
    let (one, two) = tokio::join!(
        skew_boxed(&outbox, 3, &meet, &runs),
        skew_boxed(&outbox, 4, &meet, &runs)
    );
    one.and(two).unwrap();

    let (meet, runs) = fresh();
    let options = TransactionOptions::new()
        .isolation(Isolation::Serializable)
        .retry(5);
    let in_closure = |id| {
        let (meet, runs) = (&meet, &runs);
        outbox.transaction_with(options, async move |tx| {
            skew(tx, id, meet, runs).await?;
            Ok::<_, BoxError>(())
        })
    };
    let (one, two) = tokio::join!(in_closure(5), in_closure(6));
    one.and(two).unwrap();

    let (meet, runs) = fresh();
    let (one, two) = tokio::join!(
        skew_once(&outbox, 7, &meet, &runs),
        skew_once(&outbox, 8, &meet, &runs)
    );
    assert!(
        one.is_err() != two.is_err(),
        "without `retry` one of them fails: {one:?}, {two:?}"
    );
}

#[tokio::test]
async fn a_deadlock_is_tried_again() {
    let (database, outbox) = open_with(4).await;
    sqlx::query("INSERT INTO orders (id) VALUES (1), (2)")
        .execute(&database.pool)
        .await
        .unwrap();
    #[transactional(retry = 3)]
    async fn lock(
        tx: &mut Tx<'_>,
        order: [i64; 2],
        meet: &Barrier,
        runs: &AtomicU32,
    ) -> Result<(), BoxError> {
        for (position, id) in order.into_iter().enumerate() {
            sqlx::query("SELECT FROM orders WHERE id = $1 FOR UPDATE")
                .bind(id)
                .execute(&mut **tx)
                .await?;
            if position == 0 && runs.fetch_add(1, Ordering::Relaxed) < 2 {
                meet.wait().await;
            }
        }
        Ok(())
    }
    let (meet, runs) = (Barrier::new(2), AtomicU32::new(0));
    let (one, two) = tokio::join!(
        lock(&outbox, [1, 2], &meet, &runs),
        lock(&outbox, [2, 1], &meet, &runs)
    );
    one.and(two).unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_joined_call_leaves_it_to_the_outer_one() {
    let (_database, outbox) = open_with(4).await;
    #[transactional(retry = 5)]
    async fn inner(tx: &mut Tx<'_>, id: i64, meet: &Barrier, runs: &AtomicU32) -> Result<(), BoxError> {
        Ok(skew(tx, id, meet, runs).await?)
    }
    #[transactional(isolation = "serializable", retry = 5)]
    async fn outer(
        tx: &mut Tx<'_>,
        id: i64,
        meet: &Barrier,
        runs: &AtomicU32,
        outer_runs: &AtomicU32,
    ) -> Result<(), BoxError> {
        outer_runs.fetch_add(1, Ordering::Relaxed);
        inner(tx, id, meet, runs).await
    }
    let (meet, runs, outer_runs) = (Barrier::new(2), AtomicU32::new(0), AtomicU32::new(0));
    let (one, two) = tokio::join!(
        outer(&outbox, 1, &meet, &runs, &outer_runs),
        outer(&outbox, 2, &meet, &runs, &outer_runs)
    );
    one.and(two).unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), outer_runs.load(Ordering::Relaxed));
}
