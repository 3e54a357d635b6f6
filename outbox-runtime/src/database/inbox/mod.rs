//! The inbox's SQL: one text for each thing to do, in the words of either database.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod backend;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::received::dead_letter::{DeadLetter, FailedMessage};
use crate::schema::Tables;

/// The statements of the inbox for one set of tables.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "only databases use it")
)]
pub struct InboxStatements {
    /// Writes down that a message is processed; touches no row if it was before.
    pub(super) claim: String,
    /// Deletes some of the oldest rows.
    pub(super) prune: String,
    /// Writes a dead letter, or that it failed once more.
    pub(super) dead_letter: String,
    /// Writes that a dead letter failed once more.
    pub(super) fail_again: String,
    /// Reads dead letters, the oldest first.
    pub(super) dead_letters: String,
    /// Deletes a dead letter and returns it.
    pub(super) take: String,
}

/// Where the two databases differ.
pub(super) struct Words {
    /// A parameter as what the column of headers holds.
    pub(super) headers_in: &'static str,
    /// That column as text.
    pub(super) headers_out: &'static str,
    /// The present time.
    pub(super) now: &'static str,
    /// The time `$1` seconds ago.
    pub(super) ago: &'static str,
    /// What identifies a row.
    pub(super) row: &'static str,
    /// Leaves alone what others have locked.
    pub(super) skip_locked: &'static str,
}

#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "only databases use it")
)]
impl InboxStatements {
    pub(super) fn new(tables: &Tables, words: &Words) -> Self {
        let (inbox, dead_letters) = (tables.inbox(), tables.inbox_dead_letters());
        let Words {
            headers_in,
            headers_out,
            now,
            ago,
            row,
            skip_locked,
        } = words;
        let columns = format!(
            "consumer, message_id, topic, partition, log_offset, timestamp_ms, record_key, value, \
             {headers_out} AS headers, reason, error, attempts, failed_at"
        );
        Self {
            claim: format!(
                "INSERT INTO {inbox} (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
            ),
            prune: format!(
                "DELETE FROM {inbox} WHERE {row} IN (SELECT {row} FROM {inbox} WHERE processed_at < {ago} \
                 ORDER BY processed_at LIMIT $2 {skip_locked})"
            ),
            dead_letter: format!(
                "INSERT INTO {dead_letters} AS dead_letter (consumer, message_id, event_type, topic, partition, log_offset, \
                 timestamp_ms, record_key, value, headers, reason, error, attempts) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, {headers_in}, $11, $12, $13) \
                 ON CONFLICT (consumer, message_id) DO UPDATE SET reason = excluded.reason, \
                 error = excluded.error, attempts = dead_letter.attempts + excluded.attempts, failed_at = {now}"
            ),
            fail_again: format!(
                "UPDATE {dead_letters} SET error = $3, attempts = attempts + 1, failed_at = {now} \
                 WHERE consumer = $1 AND message_id = $2"
            ),
            dead_letters: format!(
                "SELECT {columns} FROM {dead_letters} WHERE consumer = $1 ORDER BY failed_at, message_id LIMIT $2"
            ),
            take: format!(
                "DELETE FROM {dead_letters} WHERE consumer = $1 AND message_id = $2 RETURNING {columns}"
            ),
        }
    }
}

/// What the inbox needs of a database.
pub trait InboxBackend: sqlx::Database {
    /// The statements for these tables.
    fn inbox_statements(tables: &Tables) -> InboxStatements;

    /// Writes down that `consumer` processes a message; `false` if it has before.
    fn claim<'a>(
        connection: &'a mut Self::Connection,
        statements: &'a InboxStatements,
        consumer: &'a str,
        message_id: &'a str,
    ) -> BoxFuture<'a, Result<bool, sqlx::Error>>;

    /// Deletes at most so many rows that are older than this, and says how many.
    fn prune<'a>(
        pool: &'a sqlx::Pool<Self>,
        statements: &'a InboxStatements,
        older_than: Duration,
        rows: u32,
    ) -> BoxFuture<'a, Result<u64, sqlx::Error>>;

    /// Writes a dead letter, or that it failed once more.
    fn dead_letter<'a>(
        connection: &'a mut Self::Connection,
        statements: &'a InboxStatements,
        dead_letter: FailedMessage<'a>,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    /// Writes that a dead letter failed once more.
    fn fail_again<'a>(
        pool: &'a sqlx::Pool<Self>,
        statements: &'a InboxStatements,
        consumer: &'a str,
        message_id: &'a str,
        error: &'a str,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    /// A consumer's oldest dead letters.
    fn dead_letters<'a>(
        pool: &'a sqlx::Pool<Self>,
        statements: &'a InboxStatements,
        consumer: &'a str,
        rows: u32,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, sqlx::Error>>;

    /// Deletes a dead letter and returns it, if it is there.
    fn take<'a>(
        connection: &'a mut Self::Connection,
        statements: &'a InboxStatements,
        consumer: &'a str,
        message_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<DeadLetter>, sqlx::Error>>;
}
