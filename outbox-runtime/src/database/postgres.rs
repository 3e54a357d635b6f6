//! PostgreSQL.

use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgSeverity};
use sqlx::{AssertSqlSafe, Postgres, Row};

use super::chunks::chunks;
use super::columns::COLUMNS;
use super::{Backend, CommitOutcome, InboxBackend, Isolation, OutboxDatabase, Statements, TransactionStatus};
use crate::message::OutboxMessage;
use crate::schema::Tables;

/// Rows in one statement: above some thousands nothing is gained.
const CHUNK_ROWS: usize = 5_000;
/// Bytes in one statement, far below the protocol's limit of 1 GB.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

impl OutboxDatabase for Postgres {}

impl Backend for Postgres {
    const ENDS_BY_ITSELF: bool = false;

    fn transactions_at_once(pool: &sqlx::Pool<Self>) -> usize {
        pool.options().get_max_connections() as usize
    }

    fn identity(pool: &sqlx::Pool<Self>) -> usize {
        std::sync::Arc::as_ptr(&pool.connect_options()).addr()
    }

    fn database_name(pool: &sqlx::Pool<Self>) -> String {
        let options = pool.connect_options();
        options
            .get_database()
            .unwrap_or(options.get_username())
            .to_owned()
    }

    fn begin(isolation: Option<Isolation>) -> &'static str {
        match isolation {
            None => "BEGIN",
            Some(Isolation::ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Some(Isolation::RepeatableRead) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Some(Isolation::Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }

    fn statements(tables: &Tables) -> Statements {
        let table = tables.messages();
        Statements {
            insert_one: format!(
                "INSERT INTO {table} ({COLUMNS}) \
                 VALUES ($1, $2, $3, $4, $5, $6::json, $7, $8, $9, $10::jsonb, $11) \
                 RETURNING pg_current_xact_id()::text"
            ),
            insert_many: format!(
                "WITH inserted AS (INSERT INTO {table} ({COLUMNS}) \
                 SELECT id, aggregate_type, aggregate_id, event_type, topic, payload::json, payload_binary, \
                 content_type, source, headers::jsonb, occurred_at \
                 FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], \
                 $8::text[], $9::text[], $10::text[], $11::timestamptz[]) \
                 WITH ORDINALITY AS message ({COLUMNS}, position) ORDER BY position RETURNING 1) \
                 SELECT pg_current_xact_id()::text, count(*) FROM inserted"
            ),
            inbox: Self::inbox_statements(tables),
        }
    }

    fn insert<'a>(
        connection: &'a mut PgConnection,
        statements: &'a Statements,
        messages: &'a [OutboxMessage],
    ) -> BoxFuture<'a, Result<Option<u64>, sqlx::Error>> {
        Box::pin(async move {
            let mut xid = None;
            for chunk in chunks(messages, CHUNK_ROWS, CHUNK_BYTES) {
                xid = match chunk {
                    [message] => insert_one(connection, &statements.insert_one, message).await?,
                    several => insert_many(connection, &statements.insert_many, several).await?,
                };
            }
            Ok(xid)
        })
    }

    fn verify(connection: &mut PgConnection) -> BoxFuture<'_, Result<TransactionStatus, sqlx::Error>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT pg_current_xact_id_if_assigned()::text")
                .fetch_one(connection)
                .await?;
            Ok(TransactionStatus::Open(parse_xid(row.try_get(0)?)?))
        })
    }

    fn run<'a>(
        connection: &'a mut PgConnection,
        sql: &'static str,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move { sqlx::raw_sql(sql).execute(connection).await.map(|_| ()) })
    }

    fn isolation(connection: &mut PgConnection) -> BoxFuture<'_, Result<Isolation, sqlx::Error>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT current_setting('transaction_isolation')")
                .fetch_one(connection)
                .await?;
            Ok(match row.try_get(0)? {
                "serializable" => Isolation::Serializable,
                "repeatable read" => Isolation::RepeatableRead,
                // PostgreSQL's "read uncommitted" is its "read committed".
                _ => Isolation::ReadCommitted,
            })
        })
    }

    fn is_aborted(error: &sqlx::Error) -> bool {
        error
            .as_database_error()
            .and_then(DatabaseError::code)
            .is_some_and(|code| code == "25P02")
    }

    fn is_rolled_back(error: &sqlx::Error) -> bool {
        let answer = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        answer.is_some_and(|answer| is_ordinary_error(answer.severity()) && !is_ambiguous(answer.code()))
    }
}

/// A FATAL or PANIC ends the session, and can come after the commit record was written.
fn is_ordinary_error(severity: PgSeverity) -> bool {
    matches!(severity, PgSeverity::Error)
}

/// Classes that say something about the connection or the server, not about the transaction: connection
/// exceptions, operator intervention, system and internal errors, and "statement completion unknown".
fn is_ambiguous(sqlstate: &str) -> bool {
    sqlstate == "40003"
        || ["08", "57P", "58", "XX"]
            .iter()
            .any(|class| sqlstate.starts_with(class))
}

async fn insert_one(
    connection: &mut PgConnection,
    sql: &str,
    message: &OutboxMessage,
) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(message.id)
        .bind(&message.aggregate_type)
        .bind(&message.key)
        .bind(&message.event_type)
        .bind(&message.topic)
        .bind(message.json())
        .bind(message.binary())
        .bind(&message.content_type)
        .bind(&message.source)
        .bind(message.headers_json()?)
        .bind(message.occurred_at)
        .fetch_one(connection)
        .await?;
    parse_xid(row.try_get(0)?)
}

async fn insert_many(
    connection: &mut PgConnection,
    sql: &str,
    messages: &[OutboxMessage],
) -> Result<Option<u64>, sqlx::Error> {
    fn column<'a, T>(messages: &'a [OutboxMessage], value: impl Fn(&'a OutboxMessage) -> T) -> Vec<T> {
        messages.iter().map(value).collect()
    }
    let headers = messages
        .iter()
        .map(OutboxMessage::headers_json)
        .collect::<Result<Vec<_>, _>>()?;
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(column(messages, |message| message.id))
        .bind(column(messages, |message| message.aggregate_type.as_str()))
        .bind(column(messages, |message| message.key.as_str()))
        .bind(column(messages, |message| message.event_type.as_str()))
        .bind(column(messages, |message| message.topic.as_str()))
        .bind(column(messages, OutboxMessage::json))
        .bind(column(messages, OutboxMessage::binary))
        .bind(column(messages, |message| message.content_type.as_str()))
        .bind(column(messages, |message| message.source.as_deref()))
        .bind(headers)
        .bind(column(messages, |message| message.occurred_at))
        .fetch_one(connection)
        .await?;
    let inserted: i64 = row.try_get(1)?;
    if usize::try_from(inserted) != Ok(messages.len()) {
        // As for one message, which would have returned its row.
        return Err(sqlx::Error::RowNotFound);
    }
    parse_xid(row.try_get(0)?)
}

fn parse_xid(text: Option<&str>) -> Result<Option<u64>, sqlx::Error> {
    text.map(|text| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error))))
        .transpose()
}

/// What became of the transaction `xid`.
pub(crate) async fn outcome(pool: &sqlx::PgPool, xid: u64) -> Result<CommitOutcome, sqlx::Error> {
    // In a transaction, so that a pooler which changes connections between them can be asked as well.
    let mut tx = pool.begin().await?;
    let asked = sqlx::query("SELECT pg_xact_status($1::text::xid8)")
        .bind(xid.to_string())
        .fetch_one(&mut *tx)
        .await;
    // The answer is there; nothing is left to be done.
    let _ = tx.rollback().await;
    let row = match asked {
        Ok(row) => row,
        Err(error) if is_in_the_future(&error) => return Ok(CommitOutcome::Unknown),
        Err(error) => return Err(error),
    };
    Ok(match row.try_get(0)? {
        Some("committed") => CommitOutcome::Committed,
        Some("aborted") => CommitOutcome::RolledBack,
        Some("in progress") => CommitOutcome::InProgress,
        _ => CommitOutcome::Unknown,
    })
}

/// "transaction ID … is in the future": this server never gave that id out.
fn is_in_the_future(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "22023")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_answers_prove_that_nothing_was_committed() {
        for plain in ["40001", "40P01", "23505", "23503", "25P02", "P0001", "57014"] {
            assert!(!is_ambiguous(plain), "{plain}");
        }
        for ambiguous in [
            "08006", "08P01", "57P01", "57P02", "57P03", "XX000", "58030", "40003",
        ] {
            assert!(is_ambiguous(ambiguous), "{ambiguous}");
        }
        assert!(is_ordinary_error(PgSeverity::Error) && !is_ordinary_error(PgSeverity::Fatal));
        assert!(!Postgres::is_rolled_back(&sqlx::Error::WorkerCrashed));
    }
}
