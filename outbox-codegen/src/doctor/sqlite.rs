//! What a SQLite database is like.

use sqlx::SqliteConnection;

use super::{Code, Finding};
use crate::failure::Failure;

/// `journal_mode`, as SQLite says it.
pub(crate) async fn journal_mode(connection: &mut SqliteConnection) -> Result<String, Failure> {
    sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(connection)
        .await
        .map_err(|error| Failure::failed("the database does not answer").because(error))
}

pub(crate) fn judge(journal_mode: &str) -> Option<Finding> {
    // A database in memory has no journal file.
    let fine = ["wal", "memory"]
        .iter()
        .any(|mode| journal_mode.eq_ignore_ascii_case(mode));
    (!fine).then(|| {
        let reason = format!("journal_mode is {journal_mode}: readers and the writer wait for each other");
        Finding::new(Code::JournalMode, reason).sql("PRAGMA journal_mode = WAL")
    })
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn only_a_journal_that_blocks_is_reported() {
        assert!(judge("delete").is_some() && judge("truncate").is_some());
        assert!(judge("wal").is_none() && judge("WAL").is_none() && judge("memory").is_none());
    }
}
