//! SQLite.

use chrono::SecondsFormat;
use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Sqlite};

use super::chunks::chunks;
use super::columns::COLUMNS;
use super::{Backend, InboxBackend, Isolation, OutboxDatabase, Statements, TransactionStatus};
use crate::message::OutboxMessage;
use crate::schema::Tables;

/// Rows in one statement, below SQLite's limit of 32,766 parameters.
const CHUNK_ROWS: usize = 2_500;
/// Bytes in one statement.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

impl OutboxDatabase for Sqlite {}

impl Backend for Sqlite {
    const ENDS_BY_ITSELF: bool = true;

    fn transactions_at_once(_: &sqlx::Pool<Self>) -> usize {
        // The write lock is taken at BEGIN, and there is one.
        1
    }

    fn identity(pool: &sqlx::Pool<Self>) -> usize {
        std::sync::Arc::as_ptr(&pool.connect_options()).addr()
    }

    fn database_name(pool: &sqlx::Pool<Self>) -> String {
        let options = pool.connect_options();
        let stem = options.get_filename().file_stem();
        stem.map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    fn begin(_: Option<Isolation>) -> &'static str {
        // A deferred transaction that reads first can fail with SQLITE_BUSY when it comes to write.
        "BEGIN IMMEDIATE"
    }

    fn statements(tables: &Tables) -> Statements {
        let insert_many = format!("INSERT INTO {} ({COLUMNS}) VALUES ", tables.messages());
        Statements {
            insert_one: format!("{insert_many}{}", row()),
            insert_many,
            inbox: Self::inbox_statements(tables),
        }
    }

    fn insert<'a>(
        connection: &'a mut SqliteConnection,
        statements: &'a Statements,
        messages: &'a [OutboxMessage],
    ) -> BoxFuture<'a, Result<Option<u64>, sqlx::Error>> {
        Box::pin(async move {
            for chunk in chunks(messages, CHUNK_ROWS, CHUNK_BYTES) {
                let sql = match chunk {
                    [_] => statements.insert_one.clone(),
                    several => format!(
                        "{}{}",
                        statements.insert_many,
                        vec![row(); several.len()].join(", ")
                    ),
                };
                // Statements for several rows come in as many shapes as there are lengths.
                let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(chunk.len() == 1);
                for message in chunk {
                    insert = bind(insert, message)?;
                }
                let inserted = insert.execute(&mut *connection).await?.rows_affected();
                if inserted != chunk.len() as u64 {
                    return Err(sqlx::Error::RowNotFound);
                }
            }
            Ok(None)
        })
    }

    fn verify(connection: &mut SqliteConnection) -> BoxFuture<'_, Result<TransactionStatus, sqlx::Error>> {
        Box::pin(async move {
            // Some errors (a full disk, ON CONFLICT ROLLBACK, RAISE(ROLLBACK)) end the transaction by
            // themselves. Inside one, BEGIN is refused and changes nothing.
            match sqlx::raw_sql("BEGIN").execute(connection).await {
                Err(sqlx::Error::Database(_)) => Ok(TransactionStatus::Open(None)),
                Err(error) => Err(error),
                Ok(_) => Ok(TransactionStatus::Ended),
            }
        })
    }

    fn run<'a>(
        connection: &'a mut SqliteConnection,
        sql: &'static str,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move { sqlx::raw_sql(sql).execute(connection).await.map(|_| ()) })
    }

    fn isolation(_: &mut SqliteConnection) -> BoxFuture<'_, Result<Isolation, sqlx::Error>> {
        Box::pin(async { Ok(Isolation::Serializable) })
    }

    fn is_aborted(_: &sqlx::Error) -> bool {
        // A failed statement undoes itself here, and the transaction goes on.
        false
    }

    fn is_rolled_back(error: &sqlx::Error) -> bool {
        // SQLITE_IOERR is the one answer after which the commit may be on disk.
        const IOERR: i32 = 10;
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.and_then(|code| code.parse::<i32>().ok())
            .is_some_and(|code| code & 0xff != IOERR)
    }
}

/// The parameters of one row, one for each column.
fn row() -> String {
    format!("({})", vec!["?"; COLUMNS.split(',').count()].join(", "))
}

fn bind<'q>(
    insert: Query<'q, Sqlite, SqliteArguments>,
    message: &'q OutboxMessage,
) -> Result<Query<'q, Sqlite, SqliteArguments>, sqlx::Error> {
    Ok(insert
        .bind(message.id.hyphenated().to_string())
        .bind(&message.aggregate_type)
        .bind(&message.key)
        .bind(&message.event_type)
        .bind(&message.topic)
        .bind(message.json())
        .bind(message.binary())
        .bind(&message.content_type)
        .bind(&message.source)
        .bind(message.headers_json()?)
        // SQLite rounds to the milliseconds of a record's timestamp, PostgreSQL's are cut: cut here, both are alike.
        .bind(message.occurred_at.to_rfc3339_opts(SecondsFormat::Millis, true)))
}
