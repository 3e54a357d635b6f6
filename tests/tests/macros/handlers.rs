//! `#[transactional]` functions as axum handlers, and called from them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use outbox_runtime::{Outbox, OutboxTx, transactional};
use sqlx::Sqlite;

use crate::outbox::{WordAddedV1, open, words};

#[derive(Clone)]
struct App {
    outbox: Outbox<Sqlite>,
}

/// An error that is a response, and no `std::error::Error`.
#[derive(Debug)]
struct Refusal(StatusCode);

impl From<outbox_runtime::Error> for Refusal {
    fn from(_: outbox_runtime::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

#[transactional(outbox = app.outbox)]
async fn handler(
    tx: &mut OutboxTx<'_, Sqlite>,
    State(app): State<App>,
    Path(word): Path<String>,
    Json(mut more): Json<Vec<String>>,
) -> Result<impl IntoResponse, Refusal> {
    more.push(word);
    tx.emit_all(more.iter().map(WordAddedV1::new))?;
    if more.len() > 2 {
        Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY))
    } else {
        Ok(Json(more))
    }
}

#[transactional]
async fn add(tx: &mut OutboxTx<'_, Sqlite>, word: &str) -> Result<StatusCode, Refusal> {
    tx.emit(WordAddedV1::new(word))?;
    Ok(StatusCode::CREATED)
}

async fn calling(State(app): State<App>, Path(word): Path<String>) -> Result<StatusCode, Refusal> {
    add(&app.outbox, &word).await
}

/// One request and its status.
async fn status(address: std::net::SocketAddr, path: &str, body: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn they_are_handlers() {
    let (_database, outbox) = open().await;
    let app = Router::new()
        .route("/macro/{word}", post(handler))
        .route("/calling/{word}", post(calling))
        .with_state(App {
            outbox: outbox.clone(),
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(status(address, "/macro/a", r#"["b"]"#).await, 200);
    assert_eq!(status(address, "/macro/c", r#"["d", "e"]"#).await, 422);
    assert_eq!(status(address, "/calling/f", "").await, 201);
    assert_eq!(words(&outbox).await, ["b", "a", "f"]);
}
