//! Transactional functions that call each other, many levels deep.

use outbox_runtime::{Error, Outbox, OutboxTx, transactional};
use sqlx::Sqlite;

use crate::outbox::{WordAddedV1, open, words};

/// A function for each name, which calls the next; the last has a large future and emits.
macro_rules! levels {
    ([$($above:tt)*] [$($below:tt)*] $last:ident) => {
        $($above)*
        #[transactional]
        $($below)*
        pub(super) async fn $last(tx: &mut OutboxTx<'_, Sqlite>, depth: usize) -> Result<usize, Error> {
            let large = [0_u8; 16 * 1024];
            let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *tx).await.unwrap();
            sqlx::query("SELECT ?").bind(one).execute(&mut **tx).await.unwrap();
            tx.emit(WordAddedV1::new(depth.to_string()))?;
            Ok(depth + usize::from(large[depth]))
        }
    };
    ([$($above:tt)*] [$($below:tt)*] $name:ident $next:ident $($more:ident)*) => {
        $($above)*
        #[transactional]
        $($below)*
        pub(super) async fn $name(tx: &mut OutboxTx<'_, Sqlite>, depth: usize) -> Result<usize, Error> {
            $next(&mut *tx, depth + 1).await
        }
        levels!([$($above)*] [$($below)*] $next $($more)*);
    };
}

mod plain {
    use super::*;
    levels!([] [] f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19 f20);
}

mod instrumented {
    use super::*;
    levels!([#[tracing::instrument(skip_all)]] []
        f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19 f20);
}

/// As `levels!`, with a parameter and an argument of a type without a name.
macro_rules! generic_levels {
    ($last:ident) => {
        #[transactional]
        pub(super) async fn $last<T: ToString + Send + Sync, const N: usize>(
            tx: &mut OutboxTx<'_, Sqlite>,
            value: &T,
            number: [u8; N],
            more: impl Fn(usize) -> usize + Send + Sync,
        ) -> Result<usize, Error> {
            let one: usize = sqlx::query_scalar::<_, i64>("SELECT 1").fetch_one(&mut *tx).await.unwrap() as usize;
            tx.emit(WordAddedV1::new(value.to_string()))?;
            Ok(more(number.len() + one))
        }
    };
    ($name:ident $next:ident $($others:ident)*) => {
        #[transactional]
        pub(super) async fn $name<T: ToString + Send + Sync, const N: usize>(
            tx: &mut OutboxTx<'_, Sqlite>,
            value: &T,
            number: [u8; N],
            more: impl Fn(usize) -> usize + Send + Sync,
        ) -> Result<usize, Error> {
            $next(&mut *tx, value, number, &more).await
        }
        generic_levels!($next $($others)*);
    };
}

mod generic {
    use super::*;
    generic_levels!(f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19 f20);
}

/// A value that no other thread may have makes a future that none may have, and both compile.
#[transactional]
async fn with_any<T: std::fmt::Display>(tx: &mut OutboxTx<'_, Sqlite>, value: T) -> Result<(), Error> {
    tx.emit(WordAddedV1::new(value.to_string()))?;
    Ok(())
}

struct Deep;

macro_rules! method_levels {
    ($last:ident) => {
        #[transactional]
        async fn $last(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<i64, Error> {
            let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *tx).await.unwrap();
            sqlx::query("SELECT ?").bind(one).execute(&mut **tx).await.unwrap();
            Ok(one)
        }
    };
    ($name:ident $next:ident $($others:ident)*) => {
        #[transactional]
        async fn $name(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<i64, Error> {
            Ok(self.$next(&mut *tx).await? + 1)
        }
        method_levels!($next $($others)*);
    };
}

impl Deep {
    method_levels!(f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18);
}

struct Methods;

impl Methods {
    #[transactional]
    async fn first(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<usize, Error> {
        self.second(&mut *tx).await
    }

    #[transactional]
    async fn second(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<usize, Error> {
        self.third(&mut *tx).await
    }

    #[transactional]
    async fn third(&self, tx: &mut OutboxTx<'_, Sqlite>) -> Result<usize, Error> {
        plain::f18(tx, 1).await
    }
}

/// The default stack of a worker holds them, however large the innermost future is.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_levels_compile_and_run_on_a_worker() {
    let (_database, outbox) = open().await;
    let task = tokio::spawn(async move {
        assert_eq!(plain::f1(&outbox, 1).await?, 20);
        assert_eq!(instrumented::f1(&outbox, 1).await?, 20);
        assert_eq!(Methods.first(&outbox).await?, 3);
        assert_eq!(generic::f1(&outbox, &'x', [7; 3], |number| number * 2).await?, 8);
        assert_eq!(Deep.f1(&outbox).await?, 18);
        Ok::<_, Error>(words(&outbox).await)
    });
    assert_eq!(task.await.unwrap().unwrap(), ["20", "20", "3", "x"]);
}

#[tokio::test]
async fn an_argument_may_stay_on_its_thread() {
    let (_database, outbox) = open().await;
    with_any(&outbox, "sent").await.unwrap();
    let mine = std::rc::Rc::new("kept");
    with_any(&outbox, mine).await.unwrap();
    assert_eq!(words(&outbox).await, ["sent", "kept"]);
    fn is_send<F: Send>(future: F) -> F {
        future
    }
    is_send(with_any(&outbox, 7)).await.unwrap();
}

/// A caller holds a pointer to what it calls.
#[tokio::test]
async fn a_level_adds_nothing_to_the_future_around_it() {
    fn size<F: Future + Send>(future: F) -> usize {
        size_of_val(&future)
    }
    let (_database, outbox) = open().await;
    let sizes = [
        size(plain::f20(&outbox, 1)),
        size(plain::f19(&outbox, 1)),
        size(plain::f10(&outbox, 1)),
        size(plain::f1(&outbox, 1)),
        size(Methods.first(&outbox)),
    ];
    assert!(sizes.iter().all(|&size| size < 700), "{sizes:?}");
}

#[transactional]
async fn not_send(tx: &mut OutboxTx<'_, Sqlite>, word: std::rc::Rc<str>) -> Result<(), Error> {
    plain::f20(&mut *tx, 1).await?;
    tx.emit(WordAddedV1::new(&*word)).map(drop)
}

/// Nothing asks for more than the caller does: on one thread a future need not be `Send`.
#[tokio::test]
async fn a_body_need_not_be_send() {
    let (_database, outbox) = open().await;
    let shared: std::sync::Arc<Outbox<Sqlite>> = std::sync::Arc::new(outbox);
    not_send(&shared, "x".into()).await.unwrap();
    assert_eq!(words(&shared).await, ["1", "x"]);
}
