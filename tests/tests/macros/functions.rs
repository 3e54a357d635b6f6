//! `#[transactional]` on free functions.

use std::fmt::Display;

use outbox_runtime::{Error, Outbox, OutboxTx, transactional};
use sqlx::Sqlite;

use crate::outbox::{WordAddedV1, open, words};

type LiteTx<'c> = OutboxTx<'c, Sqlite>;
type Done<T = ()> = Result<T, Error>;

/// Adds a word.
#[transactional]
async fn plain(tx: &mut OutboxTx<'_, Sqlite>, word: &str) -> Result<(), Error> {
    tx.emit(WordAddedV1::new(word))?;
    Ok(())
}

#[transactional]
async fn generic<T, const N: usize>(tx: &mut LiteTx<'_>, words: [T; N]) -> Done<usize>
where
    T: Display + Send,
{
    for word in words {
        plain(&mut *tx, &word.to_string()).await?;
    }
    Ok(N)
}

#[transactional]
async fn lifetimes<'a, 'b: 'a>(tx: &mut LiteTx<'_>, first: &'a str, second: &'b str) -> Done<&'a str> {
    plain(&mut *tx, first).await?;
    plain(tx, second).await?;
    Ok(if first.is_empty() { second } else { first })
}

#[transactional]
async fn named_lifetimes<'t, 'c>(tx: &'t mut OutboxTx<'c, Sqlite>, word: &str) -> Done {
    plain(tx, word).await
}

#[transactional]
async fn impl_arguments(
    mut tx: &mut LiteTx<'_>,
    word: impl Into<String> + Send,
    twice: &(dyn Display + Sync),
) -> Done {
    tx = &mut *tx;
    plain(&mut *tx, &word.into()).await?;
    plain(&mut *tx, &twice.to_string()).await
}

struct Command {
    word: String,
    times: (u8, u8),
}

#[transactional]
async fn patterns(
    tx: &mut LiteTx<'_>,
    Command {
        mut word,
        times: (from, _),
    }: Command,
    [first, .., last @ 'a'..='z' | last]: [char; 3],
    _: u8,
    _unused: u8,
) -> Done {
    word.push(first);
    word.push(last);
    for _ in 0..from {
        plain(&mut *tx, &word).await?;
    }
    Ok(())
}

#[transactional]
async fn returns_impl(_: &mut LiteTx<'_>) -> Done<impl Display> {
    Ok(7)
}

#[transactional]
async fn inner_items(tx: &mut LiteTx<'_>) -> Done {
    #![allow(clippy::items_after_statements)]
    let word = 'label: {
        if true {
            break 'label "inner";
        }
        "outer"
    };
    fn helper(word: &str) -> WordAddedV1 {
        WordAddedV1::new(word)
    }
    tx.emit(helper(word)).map(|_| ())
}

#[transactional]
async fn mutable_argument(tx: &mut LiteTx<'_>, log: &mut Vec<String>) -> Done {
    log.push("before".into());
    plain(tx, "logged").await?;
    log.push("after".into());
    Ok(())
}

#[transactional]
pub(crate) async fn recursive(tx: &mut LiteTx<'_>, depth: u8) -> Done {
    async fn down(tx: &mut LiteTx<'_>, depth: u8) -> Done {
        plain(&mut *tx, &depth.to_string()).await?;
        if depth == 0 {
            Ok(())
        } else {
            Box::pin(down(tx, depth - 1)).await
        }
    }
    down(tx, depth).await
}

#[tokio::test]
async fn all_of_them_join_and_begin() {
    let (_database, outbox) = open().await;
    plain(&outbox, "a").await.unwrap();
    assert_eq!(generic(&outbox, [1, 2]).await.unwrap(), 2);
    assert_eq!(generic::<char, 1>(&outbox, ['c']).await.unwrap(), 1);
    assert_eq!(lifetimes(&outbox, "d", "e").await.unwrap(), "d");
    named_lifetimes(&outbox, "f").await.unwrap();
    let mut log = Vec::new();
    outbox
        .transaction(async |tx| {
            impl_arguments(&mut *tx, "g", &8).await?;
            let command = Command {
                word: "h".into(),
                times: (1, 2),
            };
            patterns(&mut *tx, command, ['i', 'j', 'k'], 0, 0).await?;
            inner_items(&mut *tx).await?;
            mutable_argument(&mut *tx, &mut log).await?;
            recursive(tx, 1).await
        })
        .await
        .unwrap();
    assert_eq!(log, ["before", "after"]);
    assert_eq!(returns_impl(&outbox).await.unwrap().to_string(), "7");
    let expected = [
        "a", "1", "2", "c", "d", "e", "f", "g", "8", "hik", "inner", "logged", "1", "0",
    ];
    assert_eq!(words(&outbox).await, expected);
}

#[transactional(retry = 2, isolation = "serializable", crate = "::outbox_runtime")]
async fn retried(
    tx: &mut LiteTx<'_>,
    mut word: String,
    list: &[u8],
    Wrapped(number): Wrapped,
) -> Done<String> {
    word.push_str(&format!("{}{number}", list.len()));
    plain(tx, &word).await?;
    Ok(word)
}

#[derive(Clone)]
struct Wrapped(u8);

#[transactional(outbox = outbox)]
async fn own_outbox(tx: &mut LiteTx<'_>, outbox: &Outbox<Sqlite>, word: &str) -> Done {
    plain(tx, word).await
}

#[tokio::test]
async fn options_are_heard() {
    let (_database, outbox) = open().await;
    assert_eq!(
        retried(&outbox, "a".to_owned(), &[1, 2], Wrapped(3))
            .await
            .unwrap(),
        "a23"
    );
    own_outbox(&outbox, "b").await.unwrap();
    assert_eq!(words(&outbox).await, ["a23", "b"]);
}

/// Futures of transactional functions can be sent to other threads, and are not large.
#[test]
fn futures_are_send_and_small() {
    fn is_send<F: Future + Send>(future: F) -> usize {
        size_of_val(&future)
    }
    #[allow(dead_code)]
    fn check(outbox: &Outbox<Sqlite>, tx: &mut LiteTx<'_>) {
        is_send(plain(outbox, "a"));
        is_send(plain(&mut *tx, "a"));
        is_send(generic(outbox, ["a"]));
        is_send(lifetimes(outbox, "a", "b"));
        is_send(impl_arguments(outbox, "a", &1));
        is_send(retried(outbox, String::new(), &[], Wrapped(1)));
        is_send(own_outbox(outbox, "a"));
        is_send(outbox.transaction(async |tx| plain(tx, "a").await));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:").unwrap();
    let size = is_send(plain(&Outbox::new(pool), "a"));
    assert!(size < 1_000, "{size} bytes");
}
