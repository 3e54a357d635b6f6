//! The inbox on PostgreSQL and SQLite: the same bindings around the words of each.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Row};

use super::{InboxBackend, InboxStatements, Words};
use crate::received::dead_letter::{self, DeadLetter, FailedMessage};
use crate::received::message::InboxMessage;
use crate::schema::Tables;

#[cfg(feature = "postgres")]
const POSTGRES: Words = Words {
    headers_in: "$10::json",
    headers_out: "headers::text",
    now: "now()",
    ago: "now() - make_interval(secs => $1)",
    row: "ctid",
    skip_locked: "FOR UPDATE SKIP LOCKED",
};

#[cfg(feature = "sqlite")]
const SQLITE: Words = Words {
    headers_in: "$10",
    headers_out: "headers",
    now: "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    ago: "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || $1 || ' seconds')",
    row: "rowid",
    skip_locked: "",
};

/// Reads a row of the dead letters.
macro_rules! read_dead_letter {
    () => {
        |row| {
            Ok(DeadLetter {
                consumer: row.try_get("consumer")?,
                message_id: row.try_get("message_id")?,
                message: InboxMessage::restored(
                    InboxMessage::new(
                        row.try_get::<String, _>("topic")?,
                        row.try_get("partition")?,
                        row.try_get("log_offset")?,
                    ),
                    row.try_get("timestamp_ms")?,
                    (row.try_get("record_key")?, row.try_get("value")?),
                    dead_letter::headers_from_json(row.try_get("headers")?)?,
                ),
                reason: dead_letter::DeadLetterReason::from_text(row.try_get("reason")?),
                error: row.try_get("error")?,
                attempts: row.try_get("attempts")?,
                failed_at: row.try_get("failed_at")?,
            })
        }
    };
}
macro_rules! inbox_backend {
    ($database:ty, $connection:ty, $words:expr) => {
        impl InboxBackend for $database {
            fn inbox_statements(tables: &Tables) -> InboxStatements {
                InboxStatements::new(tables, &$words)
            }

            fn claim<'a>(
                connection: &'a mut $connection,
                statements: &'a InboxStatements,
                consumer: &'a str,
                message_id: &'a str,
            ) -> BoxFuture<'a, Result<bool, sqlx::Error>> {
                Box::pin(async move {
                    let claimed = sqlx::query(AssertSqlSafe(statements.claim.as_str()))
                        .bind(consumer)
                        .bind(message_id)
                        .execute(connection)
                        .await?;
                    Ok(claimed.rows_affected() > 0)
                })
            }

            fn prune<'a>(
                pool: &'a sqlx::Pool<Self>,
                statements: &'a InboxStatements,
                older_than: Duration,
                rows: u32,
            ) -> BoxFuture<'a, Result<u64, sqlx::Error>> {
                Box::pin(async move {
                    let pruned = sqlx::query(AssertSqlSafe(statements.prune.as_str()))
                        .bind(older_than.as_secs_f64())
                        .bind(i64::from(rows))
                        .execute(pool)
                        .await?;
                    Ok(pruned.rows_affected())
                })
            }

            fn dead_letter<'a>(
                connection: &'a mut $connection,
                statements: &'a InboxStatements,
                dead_letter: FailedMessage<'a>,
            ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
                Box::pin(async move {
                    let message = dead_letter.message;
                    sqlx::query(AssertSqlSafe(statements.dead_letter.as_str()))
                        .bind(dead_letter.consumer)
                        .bind(dead_letter.message_id)
                        .bind(dead_letter.event_type())
                        .bind(message.topic())
                        .bind(message.partition())
                        .bind(message.offset())
                        .bind(message.timestamp_ms())
                        .bind(message.key())
                        .bind(message.value())
                        .bind(dead_letter::headers_to_json(message.headers())?)
                        .bind(dead_letter.reason.as_str())
                        .bind(dead_letter::storable(dead_letter.error))
                        .bind(dead_letter.attempts)
                        .execute(connection)
                        .await
                        .map(|_| ())
                })
            }

            fn fail_again<'a>(
                pool: &'a sqlx::Pool<Self>,
                statements: &'a InboxStatements,
                consumer: &'a str,
                message_id: &'a str,
                error: &'a str,
            ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
                Box::pin(async move {
                    sqlx::query(AssertSqlSafe(statements.fail_again.as_str()))
                        .bind(consumer)
                        .bind(message_id)
                        .bind(dead_letter::storable(error))
                        .execute(pool)
                        .await
                        .map(|_| ())
                })
            }

            fn dead_letters<'a>(
                pool: &'a sqlx::Pool<Self>,
                statements: &'a InboxStatements,
                consumer: &'a str,
                rows: u32,
            ) -> BoxFuture<'a, Result<Vec<DeadLetter>, sqlx::Error>> {
                Box::pin(async move {
                    let rows = sqlx::query(AssertSqlSafe(statements.dead_letters.as_str()))
                        .bind(consumer)
                        .bind(i64::from(rows))
                        .fetch_all(pool)
                        .await?;
                    rows.iter().map(read_dead_letter!()).collect()
                })
            }

            fn take<'a>(
                connection: &'a mut $connection,
                statements: &'a InboxStatements,
                consumer: &'a str,
                message_id: &'a str,
            ) -> BoxFuture<'a, Result<Option<DeadLetter>, sqlx::Error>> {
                Box::pin(async move {
                    let row = sqlx::query(AssertSqlSafe(statements.take.as_str()))
                        .bind(consumer)
                        .bind(message_id)
                        .fetch_optional(connection)
                        .await?;
                    row.as_ref().map(read_dead_letter!()).transpose()
                })
            }
        }
    };
}

#[cfg(feature = "postgres")]
inbox_backend!(sqlx::Postgres, sqlx::PgConnection, POSTGRES);
#[cfg(feature = "sqlite")]
inbox_backend!(sqlx::Sqlite, sqlx::SqliteConnection, SQLITE);
