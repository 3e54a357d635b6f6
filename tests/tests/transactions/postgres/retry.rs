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

/// Ways in which an error hides the database's: none of them has it as a source.
mod hidden {
    use super::BoxError;

    #[derive(Debug, thiserror::Error)]
    pub(super) enum Formatted {
        #[error("db: {0}")]
        Db(sqlx::Error),
        #[error("outbox: {0}")]
        Outbox(outbox_runtime::Error),
    }

    impl From<outbox_runtime::Error> for Formatted {
        fn from(error: outbox_runtime::Error) -> Self {
            Self::Outbox(error)
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("it did not work")]
    pub(super) struct Mute;

    impl<E: Into<BoxError>> From<E> for Text {
        fn from(error: E) -> Self {
            drop(error.into());
            Self
        }
    }

    /// Neither an error nor something to be written.
    pub(super) struct Text;

    impl From<outbox_runtime::Error> for Mute {
        fn from(_: outbox_runtime::Error) -> Self {
            Self
        }
    }

    /// As services with axum have it.
    #[derive(Debug)]
    pub(super) struct AppError(#[expect(dead_code, reason = "it is written")] anyhow::Error);

    impl<E: Into<anyhow::Error>> From<E> for AppError {
        fn from(error: E) -> Self {
            Self(error.into())
        }
    }
}

/// A statement that fails with this SQLSTATE, as often as `times` says.
async fn fail(tx: &mut Tx<'_>, code: &str, times: &AtomicU32) -> Result<(), sqlx::Error> {
    if times.fetch_sub(1, Ordering::SeqCst) == 0 {
        return Ok(());
    }
    let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
    sqlx::query(sqlx::AssertSqlSafe(raise)).execute(&mut **tx).await?;
    Ok(())
}

macro_rules! hiding {
    ($name:ident, $error:ty, $hide:expr) => {
        #[transactional(retry = 3)]
        async fn $name(tx: &mut Tx<'_>, code: &str, times: &AtomicU32) -> Result<(), $error> {
            fail(tx, code, times).await.map_err($hide)?;
            Ok(())
        }
    };
}

hiding!(formatted, hidden::Formatted, hidden::Formatted::Db);
hiding!(mute, hidden::Mute, |_| hidden::Mute);
hiding!(text, hidden::Text, hidden::Text::from);
hiding!(app_error, hidden::AppError, hidden::AppError::from);
hiding!(any_error, anyhow::Error, anyhow::Error::from);
hiding!(message, anyhow::Error, |error: sqlx::Error| anyhow::anyhow!(
    "db: {error}"
));

#[tokio::test]
async fn a_serialization_failure_is_tried_again_however_the_error_hides_it() {
    let (_database, outbox) = open_with(2).await;
    for code in ["40001", "40P01"] {
        macro_rules! cured {
            ($($function:ident),*) => {$(
                let times = AtomicU32::new(3);
                let cured = $function(&outbox, code, &times).await;
                assert!(cured.is_ok(), "{} gave up with {} failures left", stringify!($function), times.into_inner());
            )*};
        }
        cured!(formatted, mute, text, app_error, any_error, message);
    }
}

/// The error decides: a constraint that fails would fail again.
#[tokio::test]
async fn another_failure_that_can_be_seen_is_not_tried_again() {
    let (_database, outbox) = open_with(2).await;
    macro_rules! once {
        ($($function:ident),*) => {$(
            let times = AtomicU32::new(3);
            assert!($function(&outbox, "23505", &times).await.is_err());
            assert_eq!(times.into_inner(), 2, "{} was tried again", stringify!($function));
        )*};
    }
    once!(formatted, any_error);
}

#[transactional(retry = 3)]
async fn refuse(_: &mut Tx<'_>, runs: &AtomicU32) -> Result<(), hidden::Mute> {
    runs.fetch_add(1, Ordering::SeqCst);
    Err(hidden::Mute)
}

#[tokio::test]
async fn a_refusal_of_the_services_own_is_not_tried_again() {
    let (_database, outbox) = open_with(2).await;
    let runs = AtomicU32::new(0);
    assert!(refuse(&outbox, &runs).await.is_err());
    assert_eq!(runs.into_inner(), 1);
}
