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
        Ok::<_, Error>(words(&outbox).await)
    });
    assert_eq!(task.await.unwrap().unwrap(), ["20", "20", "3"]);
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
