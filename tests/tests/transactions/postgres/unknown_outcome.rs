//! A COMMIT whose answer does not come.

use std::sync::Arc;

use outbox_runtime::{CommitOutcome, ErrorKind, Outbox, transactional};
use sqlx::postgres::PgPoolOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::both::{Tx, place};
use super::{Db, open_with};
use crate::shop::ShopError;

/// Between the client and the server: lets everything through until COMMIT comes.
struct Wire {
    port: u16,
    commit_passed: Arc<Notify>,
}

#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// The COMMIT reaches the server, its answer does not come back.
    Answer,
    /// The COMMIT does not reach the server.
    Commit,
}

impl Wire {
    async fn to(outbox: &Outbox<Db>, cut: Cut) -> Self {
        let target = (
            outbox.pool().connect_options().get_host().to_owned(),
            outbox.pool().connect_options().get_port(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let commit_passed = Arc::new(Notify::new());
        let passed = commit_passed.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(target.clone()).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let back = tokio::spawn(copy(from_server, to_client));
                let passed = passed.clone();
                tokio::spawn(async move {
                    forward(from_client, to_server, cut, back).await;
                    passed.notify_one();
                });
            }
        });
        Self { port, commit_passed }
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// Copies what the client says; at COMMIT it cuts the line back, and maybe keeps the COMMIT for itself.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cut: Cut,
    back: tokio::task::JoinHandle<()>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let said = &buffer[..length];
        let commits = said.windows(7).any(|window| window == b"COMMIT\0");
        if commits {
            back.abort();
        }
        if !commits || cut == Cut::Answer {
            to.write_all(said).await.unwrap();
        }
        if commits {
            // The server's side stays open until it has done what it was asked.
            let _ = to.flush().await;
            if cut == Cut::Answer {
                std::mem::forget(to);
            }
            return;
        }
    }
}

#[transactional]
async fn place_one(tx: &mut Tx<'_>) -> Result<i64, ShopError> {
    place(tx, 1).await
}

async fn lose(cut: Cut) -> (CommitOutcome, usize) {
    let (_database, outbox) = open_with(4).await;
    let wire = Wire::to(&outbox, cut).await;
    let options = (*outbox.pool().connect_options())
        .clone()
        .host("127.0.0.1")
        .port(wire.port);
    let through_wire = Outbox::new(
        PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .unwrap(),
    );
    let lost = place_one(&through_wire).await.unwrap_err();
    wire.commit_passed.notified().await;
    let ErrorKind::CommitOutcomeUnknown { xid: Some(xid) } = lost.kind() else {
        panic!("{lost:?}")
    };
    assert!(lost.to_string().contains(&xid.to_string()), "{lost}");
    let mut outcome = outbox.outcome(xid).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while outcome == CommitOutcome::InProgress && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        outcome = outbox.outcome(xid).await.unwrap();
    }
    (outcome, super::both::orders_with_events(&outbox).await.len())
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome_that_can_be_asked_for() {
    assert_eq!(lose(Cut::Answer).await, (CommitOutcome::Committed, 1));
}

#[tokio::test]
async fn so_is_a_commit_that_did_not_arrive() {
    assert_eq!(lose(Cut::Commit).await, (CommitOutcome::RolledBack, 0));
}

#[tokio::test]
async fn a_deferred_constraint_that_fails_at_commit_is_a_certain_rollback() {
    let (database, outbox) = open_with(2).await;
    let deferred =
        "CREATE TABLE lines (order_id BIGINT REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED)";
    sqlx::query(deferred).execute(&database.pool).await.unwrap();
    let refused = outbox
        .transaction(async |tx| {
            sqlx::query("INSERT INTO lines (order_id) VALUES (99)")
                .execute(&mut **tx)
                .await?;
            place(&mut *tx, 1).await
        })
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Database);
    assert_eq!(super::both::orders_with_events(&outbox).await, [0_i64; 0]);
}

#[tokio::test]
async fn an_id_that_the_server_never_gave_out_is_unknown() {
    let (_database, outbox) = open_with(1).await;
    assert_eq!(outbox.outcome(1 << 40).await.unwrap(), CommitOutcome::Unknown);
}
