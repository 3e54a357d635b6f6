//! Transactional functions with all kinds of arguments, errors and bodies.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use outbox_runtime::{Error, Outbox, OutboxTx, TransactionSource, transactional};
use sqlx::{Executor, Row, Sqlite};

use crate::support::{LiteTx, keys, noted, open};

type Done<T = ()> = Result<T, Error>;

#[transactional]
async fn note(tx: &mut LiteTx<'_>, text: &str) -> Done {
    tx.emit(noted(text))?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Outbox(#[from] Error),
    #[error("database")]
    Database(#[from] sqlx::Error),
    #[error("no number: {0}")]
    Number(#[from] std::num::ParseIntError),
    #[error("refused: {0}")]
    Refused(String),
}

#[transactional]
async fn with_anyhow(tx: &mut LiteTx<'_>, number: &str) -> anyhow::Result<u8> {
    use anyhow::Context as _;
    let number: u8 = number.parse().with_context(|| format!("parse {number}"))?;
    anyhow::ensure!(number < 100, "too large");
    tx.emit(noted(number.to_string()))?;
    if number == 7 {
        anyhow::bail!("seven");
    }
    Ok(number)
}

#[transactional]
async fn with_thiserror(tx: &mut LiteTx<'_>, number: &str) -> Result<i64, AppError> {
    let number: u8 = number.parse()?;
    let found = sqlx::query("SELECT ? + 1")
        .bind(number)
        .fetch_one(&mut **tx)
        .await?;
    tx.emit(noted(number.to_string()))?;
    if number == 7 {
        return Err(AppError::Refused("seven".into()));
    }
    Ok(found.get(0))
}

#[transactional]
async fn with_box(tx: &mut LiteTx<'_>, number: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let number: u8 = number.parse()?;
    if number == 7 {
        return Err("seven".into());
    }
    tx.emit(noted(number.to_string()))?;
    Ok(())
}

#[transactional]
async fn early_return(tx: &mut LiteTx<'_>, text: Option<&str>) -> Done<usize> {
    let Some(text) = text else { return Ok(0) };
    tx.emit(noted(text))?;
    if text.len() > 3 {
        return Ok(text.len());
    }
    Ok(1)
}

#[transactional]
async fn loops(tx: &mut LiteTx<'_>, most: usize) -> Done<usize> {
    let mut made = 0;
    let sum = 'outer: loop {
        for number in 0.. {
            if number > most {
                break 'outer made;
            }
            if number % 2 == 1 {
                continue;
            }
            tx.emit(noted(number.to_string()))?;
            made += number;
        }
    };
    while made > 0 {
        made /= 2;
    }
    Ok(sum)
}

#[transactional]
async fn match_at_the_end(tx: &mut LiteTx<'_>, flow: ControlFlow<String, u8>) -> Done<bool> {
    match flow {
        ControlFlow::Break(text) => tx.emit(noted(text)).map(|_| true),
        ControlFlow::Continue(_) => Ok(false),
    }
}

#[transactional]
async fn macro_body(tx: &mut LiteTx<'_>, numbers: Vec<u8>) -> Done<String> {
    macro_rules! add {
        ($tx:expr, $($text:expr),*) => { $($tx.emit(noted($text))?;)* };
    }
    add!(tx, "m1", format!("{numbers:?}"));
    Ok(format!("{}", numbers.len()))
}

#[transactional]
async fn joined_futures(tx: &mut LiteTx<'_>, texts: &[String]) -> Done {
    let (first, second) = tokio::join!(async { texts[0].clone() }, async { texts[1].clone() });
    tx.emit(noted(first))?;
    tokio::select! {
        biased;
        () = std::future::ready(()) => { tx.emit(noted(second))?; }
        () = tokio::time::sleep(Duration::from_secs(60)) => {}
    }
    let handle = tokio::spawn(async { "spawned" });
    tx.emit(noted(handle.await.unwrap()))?;
    Ok(())
}

#[transactional]
async fn timed_out(tx: &mut LiteTx<'_>) -> Result<(), AppError> {
    tx.emit(noted("never"))?;
    tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
        .await
        .map_err(|elapsed| AppError::Refused(elapsed.to_string()))
}

#[transactional]
async fn executors(tx: &mut OutboxTx<'_, Sqlite>) -> Result<Vec<i64>, AppError> {
    tx.execute("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)")
        .await?;
    sqlx::query("INSERT INTO numbers VALUES (1), (2)")
        .execute(&mut *tx)
        .await?;
    sqlx::query("INSERT INTO numbers VALUES (3)")
        .execute(&mut **tx)
        .await?;
    raw(tx).await?;
    let mut rows = sqlx::query("SELECT n FROM numbers ORDER BY n").fetch(&mut **tx);
    let mut numbers = Vec::new();
    while let Some(row) = futures_util::TryStreamExt::try_next(&mut rows).await? {
        numbers.push(row.get(0));
    }
    Ok(numbers)
}

async fn raw(connection: &mut sqlx::SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO numbers VALUES (4)")
        .execute(connection)
        .await
        .map(drop)
}

#[tokio::test]
async fn errors_and_endings() {
    let (_database, outbox) = open().await;
    assert_eq!(with_anyhow(&outbox, "8").await.unwrap(), 8);
    assert_eq!(
        with_anyhow(&outbox, "x").await.unwrap_err().to_string(),
        "parse x"
    );
    assert_eq!(with_anyhow(&outbox, "7").await.unwrap_err().to_string(), "seven");
    assert_eq!(with_thiserror(&outbox, "9").await.unwrap(), 10);
    assert!(matches!(
        with_thiserror(&outbox, "7").await,
        Err(AppError::Refused(_))
    ));
    assert!(matches!(
        with_thiserror(&outbox, "x").await,
        Err(AppError::Number(_))
    ));
    with_box(&outbox, "10").await.unwrap();
    with_box(&outbox, "7").await.unwrap_err();
    assert_eq!(early_return(&outbox, None).await.unwrap(), 0);
    assert_eq!(early_return(&outbox, Some("early")).await.unwrap(), 5);
    assert_eq!(early_return(&outbox, Some("e")).await.unwrap(), 1);
    assert_eq!(loops(&outbox, 3).await.unwrap(), 2);
    assert!(
        match_at_the_end(&outbox, ControlFlow::Break("end".into()))
            .await
            .unwrap()
    );
    assert!(!match_at_the_end(&outbox, ControlFlow::Continue(1)).await.unwrap());
    assert_eq!(macro_body(&outbox, vec![1]).await.unwrap(), "1");
    joined_futures(&outbox, &["j1".into(), "j2".into()])
        .await
        .unwrap();
    assert!(matches!(timed_out(&outbox).await, Err(AppError::Refused(_))));
    assert_eq!(executors(&outbox).await.unwrap(), [1, 2, 3, 4]);
    let expected = [
        "8", "9", "10", "early", "e", "0", "2", "end", "m1", "[1]", "j1", "j2", "spawned",
    ];
    assert_eq!(keys(&outbox).await, expected);
}

trait Repository: Send + Sync {
    fn name(&self) -> String;
}

struct Names(&'static str);

impl Repository for Names {
    fn name(&self) -> String {
        self.0.to_owned()
    }
}

#[transactional]
async fn generic_arguments<R, I, F, const N: usize>(
    tx: &mut LiteTx<'_>,
    repository: &R,
    texts: I,
    make: F,
    more: [u8; N],
) -> Done<usize>
where
    R: Repository + ?Sized,
    I: IntoIterator<Item: AsRef<str>, IntoIter: Send> + Send,
    F: Fn(&str) -> String + Send + Sync,
{
    note(&mut *tx, &repository.name()).await?;
    for text in texts {
        note(&mut *tx, &make(text.as_ref())).await?;
    }
    Ok(more.len())
}

#[transactional]
async fn dynamic(
    tx: &mut LiteTx<'_>,
    repository: Arc<dyn Repository>,
    shown: Box<dyn Display + Send + Sync>,
) -> Done {
    let text = format!("{}{shown}", repository.name());
    tx.emit(noted(text))?;
    Ok(())
}

#[transactional]
async fn impl_trait(
    tx: &mut LiteTx<'_>,
    texts: impl IntoIterator<Item = impl Display + Send, IntoIter: Send> + Send,
    then: impl FnOnce() -> u8 + Send,
) -> Done<u8> {
    for text in texts {
        tx.emit(noted(text.to_string()))?;
    }
    Ok(then())
}

#[transactional]
async fn a_future<F: Future<Output = String> + Send>(tx: &mut LiteTx<'_>, future: F) -> Done {
    let text = future.await;
    note(tx, &text).await
}

#[transactional]
async fn destructured(
    tx: &mut LiteTx<'_>,
    (first, mut second): (String, String),
    [third, ..]: [&str; 2],
    mut counts: HashMap<&'static str, u32>,
) -> Done<u32> {
    second.push_str(&first);
    *counts.entry("a").or_default() += 1;
    note(&mut *tx, &second).await?;
    note(tx, third).await?;
    Ok(counts["a"])
}

#[transactional]
async fn names_of_ours(
    tx: &mut LiteTx<'_>,
    source: u8,
    attempts: u8,
    begun: u8,
    outcome: u8,
    result: u8,
) -> Done<u8> {
    let (body, pause) = (1, 2);
    note(tx, "names").await?;
    Ok(source + attempts + begun + outcome + result + body + pause)
}

#[allow(non_snake_case, unused_mut)]
#[transactional]
async fn r#match(mut r#type: &mut LiteTx<'_>, r#fn: &str, Upper: u8) -> Done<u8> {
    note(r#type, r#fn).await?;
    Ok(Upper)
}

#[cfg(any())]
#[transactional]
async fn configured(tx: &mut LiteTx<'_>, nothing: NoSuchType) -> Done {
    Ok(())
}

#[cfg(all())]
#[must_use = "it says how many"]
#[inline]
#[doc(alias = "counted")]
#[transactional]
pub(crate) async fn configured(
    tx: &mut LiteTx<'_>,
    #[cfg(all())] text: &str,
    #[cfg(any())] text: u8,
) -> Done {
    note(tx, text).await
}

#[tokio::test]
async fn arguments() {
    let (_database, outbox) = open().await;
    let count = generic_arguments(
        &outbox,
        &Names("g"),
        ["x", "y"],
        |text| text.to_uppercase(),
        [0; 4],
    )
    .await;
    assert_eq!(count.unwrap(), 4);
    let repository: &dyn Repository = &Names("d");
    generic_arguments(&outbox, repository, Vec::<String>::new(), str::to_owned, [])
        .await
        .unwrap();
    dynamic(&outbox, Arc::new(Names("e")), Box::new(5)).await.unwrap();
    assert_eq!(impl_trait(&outbox, [1, 2], || 3).await.unwrap(), 3);
    a_future(&outbox, async { "f".to_owned() }).await.unwrap();
    let texts = ("a".to_owned(), "b".to_owned());
    assert_eq!(
        destructured(&outbox, texts, ["c", "d"], HashMap::new())
            .await
            .unwrap(),
        1
    );
    assert_eq!(names_of_ours(&outbox, 1, 1, 1, 1, 1).await.unwrap(), 8);
    assert_eq!(r#match(&outbox, "raw", 6).await.unwrap(), 6);
    configured(&outbox, "configured").await.unwrap();
    let expected = [
        "g",
        "X",
        "Y",
        "d",
        "e5",
        "1",
        "2",
        "f",
        "ba",
        "c",
        "names",
        "raw",
        "configured",
    ];
    assert_eq!(keys(&outbox).await, expected);
}

/// A generic caller, which passes on whatever it was given.
async fn passed_on<'t>(source: impl TransactionSource<'t, Sqlite>, text: &str) -> Done {
    note(source, text).await
}

#[tokio::test]
async fn callers() {
    let (_database, outbox) = open().await;
    passed_on(&outbox, "a").await.unwrap();
    let shared = Arc::new(outbox);
    let tasks: Vec<_> = ["b", "c"]
        .map(|text| {
            let outbox = Arc::clone(&shared);
            tokio::spawn(async move { note(&outbox, text).await })
        })
        .into();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let joined = shared.transaction(async |tx| {
        let mut emit = async |text: &str| passed_on(&mut *tx, text).await;
        emit("d").await?;
        emit("e").await
    });
    joined.await.unwrap();
    let outbox: &Outbox<Sqlite> = &shared;
    let boxed: std::pin::Pin<Box<dyn Future<Output = Done> + Send + '_>> = Box::pin(note(outbox, "f"));
    boxed.await.unwrap();
    let mut written = keys(&shared).await;
    written[1..3].sort();
    assert_eq!(written, ["a", "b", "c", "d", "e", "f"]);
}
