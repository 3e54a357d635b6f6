//! An error type that has no room for the library's own errors.

use outbox_runtime::{OutboxTx, transactional};
use sqlx::Sqlite;

#[derive(Debug)]
struct UploadError;

#[transactional]
async fn upload(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), UploadError> {
    Err(UploadError)
}

#[transactional]
async fn text(_: &mut OutboxTx<'_, Sqlite>) -> Result<(), String> {
    Err(String::new())
}

fn main() {}
