//! Transactional methods and what stands around them: receivers, traits, retries, handlers, other attributes.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use outbox_runtime::{Error, Outbox, OutboxTx, TransactionSource, transactional};
use serde::{Deserialize, Serialize};
use sqlx::Sqlite;

use crate::support::{LiteTx, keys, last_row, noted, open};

type Done<T = ()> = Result<T, Error>;

#[derive(Clone)]
struct Service<T = String> {
    outbox: Outbox<Sqlite>,
    name: T,
    calls: Arc<AtomicU32>,
}

impl Service {
    fn new(outbox: &Outbox<Sqlite>, name: &str) -> Self {
        Self {
            outbox: outbox.clone(),
            name: name.to_owned(),
            calls: Arc::default(),
        }
    }

    const LIMIT: usize = 3;

    #[transactional]
    pub(crate) async fn by_reference(&self, tx: &mut LiteTx<'_>, text: &str) -> Done<usize> {
        tx.emit(noted(format!("{}-{text}", self.name)))?;
        Ok(Self::LIMIT)
    }

    #[transactional]
    async fn by_mutable_reference(&mut self, tx: &mut LiteTx<'_>) -> Done {
        self.name.push('!');
        tx.emit(noted(&*self.name))?;
        Ok(())
    }

    #[transactional]
    async fn by_value(self, tx: &mut LiteTx<'_>) -> Done<String> {
        tx.emit(noted(&*self.name))?;
        Ok(self.name)
    }

    #[transactional]
    async fn by_arc(self: Arc<Self>, tx: &mut LiteTx<'_>) -> Done {
        self.by_reference(tx, "arc").await.map(drop)
    }

    #[transactional]
    async fn by_arc_reference(self: &Arc<Self>, tx: &mut LiteTx<'_>) -> Done {
        let other = Arc::clone(self);
        other.by_arc(tx).await
    }

    #[transactional]
    async fn by_pin(self: Pin<&mut Self>, tx: &mut LiteTx<'_>) -> Done {
        tx.emit(noted(self.name.as_str()))?;
        Ok(())
    }

    #[transactional]
    async fn without_receiver(tx: &mut LiteTx<'_>) -> Done<usize> {
        tx.emit(noted("none"))?;
        Ok(Self::LIMIT)
    }

    #[transactional(outbox = self.outbox, retry = 2, isolation = "serializable")]
    async fn own(&self, tx: &mut LiteTx<'_>, text: &str) -> Done<u32> {
        self.by_reference(&mut *tx, text).await?;
        Ok(self.calls.fetch_add(1, Ordering::Relaxed))
    }

    #[transactional(outbox = &self.outbox)]
    async fn own_by_reference(&self, tx: &mut LiteTx<'_>) -> Done {
        Self::without_receiver(tx).await.map(drop)
    }

    #[transactional(retry = 3)]
    async fn retried(
        &self,
        tx: &mut LiteTx<'_>,
        (first, second): (String, Vec<u8>),
    ) -> anyhow::Result<usize> {
        tx.emit(noted(first))?;
        Ok(second.len())
    }

    #[transactional(retry = 1)]
    async fn retried_by_value(self, tx: &mut LiteTx<'_>) -> Result<(), AppError> {
        tx.emit(noted(&*self.name))?;
        Ok(())
    }
}

impl<T: AsRef<str> + Send + Sync> Service<T> {
    #[transactional]
    async fn generic<U>(&self, tx: &mut LiteTx<'_>, more: U) -> Done<(T, U)>
    where
        T: Clone,
        U: Into<String> + Clone + Send,
    {
        let text: String = more.clone().into();
        tx.emit(noted(format!("{}{text}", self.name.as_ref())))?;
        Ok((self.name.clone(), more))
    }

    #[transactional]
    async fn of_the_impl(tx: &mut LiteTx<'_>, name: T) -> Done<T> {
        tx.emit(noted(name.as_ref()))?;
        Ok(name)
    }
}

#[tokio::test]
async fn receivers() {
    let (_database, outbox) = open().await;
    let mut service = Service::new(&outbox, "s");
    assert_eq!(service.by_reference(&outbox, "a").await.unwrap(), 3);
    service.by_mutable_reference(&outbox).await.unwrap();
    Pin::new(&mut service).by_pin(&outbox).await.unwrap();
    assert_eq!(service.clone().by_value(&outbox).await.unwrap(), "s!");
    let shared = Arc::new(service.clone());
    shared.by_arc_reference(&outbox).await.unwrap();
    Arc::clone(&shared).by_arc(&outbox).await.unwrap();
    assert_eq!(Service::<String>::without_receiver(&outbox).await.unwrap(), 3);
    assert_eq!(service.own("own").await.unwrap(), 0);
    service.own_by_reference().await.unwrap();
    assert_eq!(service.retried(&outbox, ("r".into(), vec![1])).await.unwrap(), 1);
    service.clone().retried_by_value(&outbox).await.unwrap();
    assert_eq!(
        service.generic(&outbox, "g").await.unwrap(),
        ("s!".to_owned(), "g")
    );
    Service::of_the_impl(&outbox, Box::<str>::from("boxed"))
        .await
        .unwrap();
    let task = tokio::spawn(async move { shared.by_reference(&shared.outbox, "task").await });
    assert_eq!(task.await.unwrap().unwrap(), 3);
    let expected = [
        "s-a", "s!", "s!", "s!", "s!-arc", "s!-arc", "none", "s!-own", "none", "r", "s!", "s!g", "boxed",
        "s!-task",
    ];
    assert_eq!(keys(&outbox).await, expected);
}

trait Notes {
    fn note<'t>(
        &self,
        tx: impl TransactionSource<'t, Sqlite>,
        text: &str,
    ) -> impl Future<Output = Done> + Send;
}

impl Notes for Service {
    #[transactional]
    async fn note(&self, tx: &mut LiteTx<'_>, text: &str) -> Done {
        self.by_reference(tx, text).await.map(drop)
    }
}

#[async_trait::async_trait]
trait DynamicNotes: Send + Sync {
    async fn note(&self, text: &str) -> Done;
    async fn join(&self, tx: &mut OutboxTx<'_, Sqlite>, text: &str) -> Done;
}

#[async_trait::async_trait]
impl DynamicNotes for Service {
    async fn note(&self, text: &str) -> Done {
        Notes::note(self, &self.outbox, text).await
    }

    async fn join(&self, tx: &mut OutboxTx<'_, Sqlite>, text: &str) -> Done {
        Notes::note(self, tx, text).await
    }
}

#[tokio::test]
async fn traits() {
    let (_database, outbox) = open().await;
    let service = Service::new(&outbox, "t");
    Notes::note(&service, &outbox, "a").await.unwrap();
    let dynamic: Box<dyn DynamicNotes> = Box::new(service);
    dynamic.note("b").await.unwrap();
    outbox
        .transaction(async |tx| dynamic.join(tx, "c").await)
        .await
        .unwrap();
    assert_eq!(keys(&outbox).await, ["t-a", "t-b", "t-c"]);
}

struct AppError(anyhow::Error);

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

impl<E: Into<anyhow::Error>> From<E> for AppError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl std::fmt::Debug for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Serialize, Deserialize, Clone)]
struct Body {
    text: String,
}

#[transactional(outbox = outbox)]
#[axum::debug_handler]
async fn handler_below(
    tx: &mut OutboxTx<'_, Sqlite>,
    State(outbox): State<Outbox<Sqlite>>,
    Path(id): Path<u32>,
    Json(body): Json<Body>,
) -> Result<(StatusCode, Json<Body>), AppError> {
    tx.emit(noted(format!("{id}-{}", body.text)))?;
    Ok((StatusCode::CREATED, Json(body)))
}

#[transactional(outbox = service.outbox, retry = 2)]
async fn handler_with_retry(
    tx: &mut LiteTx<'_>,
    State(service): State<Service>,
    Json(Body { text }): Json<Body>,
) -> Result<impl IntoResponse + use<>, AppError> {
    service.by_reference(tx, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[tokio::test]
async fn handlers() {
    let (_database, outbox) = open().await;
    let body = || Json(Body { text: "x".into() });
    let answer = handler_below(State(outbox.clone()), Path(4), body())
        .await
        .unwrap();
    assert_eq!(answer.0, StatusCode::CREATED);
    let state = State(Service::new(&outbox, "h"));
    handler_with_retry(state, body()).await.unwrap();
    let _routes: axum::Router = axum::Router::new()
        .route("/{id}", axum::routing::post(handler_below))
        .with_state(outbox.clone())
        .merge(
            axum::Router::new()
                .route("/", axum::routing::post(handler_with_retry))
                .with_state(Service::new(&outbox, "h")),
        );
    assert_eq!(keys(&outbox).await, ["4-x", "h-x"]);
    let row = last_row(&outbox).await;
    assert_eq!(
        row,
        ["programs.noted", "h-x", "NotedV1", "{}", r#"{"text":"h-x"}"#]
    );
}

#[tracing::instrument(skip(tx, text), fields(length = text.len()), err, ret)]
#[transactional]
async fn instrumented_above(tx: &mut LiteTx<'_>, text: &str, number: u8) -> Done<u8> {
    tx.emit(noted(text))?;
    Ok(number)
}

#[transactional]
#[tracing::instrument(skip_all, level = "debug")]
async fn instrumented_below(tx: &mut LiteTx<'_>, text: &str) -> Done {
    tx.emit(noted(text))?;
    Ok(())
}

#[transactional]
async fn on_one_thread(tx: &mut LiteTx<'_>, text: Rc<str>) -> Done {
    let local = Rc::clone(&text);
    instrumented_below(tx, &local).await
}

macro_rules! emitting {
    ($(#[$meta:meta])* $vis:vis $name:ident($($argument:ident: $ty:ty),*) -> $output:ty $body:block) => {
        $(#[$meta])*
        #[transactional]
        $vis async fn $name(tx: &mut LiteTx<'_>, $($argument: $ty),*) -> $output $body
    };
    (named $name:ident, $tx:ident: $tx_ty:ty, $e:expr, retry $retry:literal) => {
        #[transactional(retry = $retry)]
        async fn $name($tx: $tx_ty) -> Done {
            $tx.emit(noted($e))?;
            Ok(())
        }
    };
}
emitting!(#[allow(unused)] pub(crate) in_a_block(text: &str, number: u8) -> Done<u8> {
    Ok(number)
});
emitting!(named by_fragments, tx: &mut LiteTx<'_>, "fragments", retry 2);

#[tokio::test]
async fn beside_other_macros() {
    let (_database, outbox) = open().await;
    assert_eq!(instrumented_above(&outbox, "a", 2).await.unwrap(), 2);
    instrumented_below(&outbox, "b").await.unwrap();
    on_one_thread(&outbox, "c".into()).await.unwrap();
    assert_eq!(in_a_block(&outbox, "d", 5).await.unwrap(), 5);
    by_fragments(&outbox).await.unwrap();
    assert_eq!(keys(&outbox).await, ["a", "b", "c", "fragments"]);
}
