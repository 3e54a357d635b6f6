//! Brings a cursor home: `adopt` where the log was moved, `fork` where it was copied.
//!
//! Rows carry the ids of the transactions that wrote them, and in another cluster those say nothing; rows do not
//! say either which cluster they come from. But each of them is below the old cursor's bound on seq if that calls
//! it delivered, and whatever was written here lies above it. So one transaction with the snapshot *T* sorts all
//! rows that it sees: those that were not delivered become those of transaction 4, those that were and that *T*
//! would not see by their id become those of transaction 3. Both are from the making of every cluster, long over.
//! The new cursor lies at *T*, with a window open in which exactly transaction 4 is late: an ordinary one, that the
//! reader works off by seq. Transactions that are open meanwhile are late in the next window, as ever.

mod sql;
mod verdict;

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Postgres, Row as _};
use uuid::Uuid;

use self::sql::Sql;
use self::verdict::{Counts, Found, GoingBy, Verdict};
use super::claim::{Origin, cursor_row, number, optional_text, parsed, undecodable};
use super::home::Home;
use super::options::Options;
use super::snapshot::Xid;
use crate::Tables;
use crate::schema::check_schema;
use crate::store::{Adopt, Fork, Relocated, StoreError, StoreErrorKind, WithoutCursor};

/// The transaction of rows that were delivered.
const DELIVERED: Xid = 3;

/// The transaction of rows that are to be sent.
const UNDELIVERED: Xid = 4;

/// Rows are sorted in one statement, which takes as long as it takes; locks are not waited for without end.
const SESSION: &str = "SET application_name = 'outbox'; SET statement_timeout = 0; SET lock_timeout = '30s'; \
                       SET idle_in_transaction_session_timeout = 0";

/// How often it is tried again when something else changed the same rows, such as another adoption.
const ATTEMPTS: u32 = 10;

/// What an operator asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Adopt(Adopt),
    Fork(Fork),
}

impl Order {
    fn without_cursor(self) -> Option<WithoutCursor> {
        match self {
            Self::Adopt(adopt) => adopt.without_cursor,
            Self::Fork(fork) => (!fork.send_backlog).then_some(WithoutCursor::SkipAll),
        }
    }

    fn is_dry_run(self) -> bool {
        match self {
            Self::Adopt(adopt) => adopt.dry_run,
            Self::Fork(fork) => fork.dry_run,
        }
    }

    fn is_fork(self) -> bool {
        matches!(self, Self::Fork(_))
    }
}

pub(super) async fn relocate(
    options: &Options,
    tables: &Tables,
    order: Order,
) -> Result<Relocated, StoreError> {
    let failed = StoreError::while_doing;
    let mut connection = PgConnection::connect_with(&options.now().await?.disable_statement_logging())
        .await
        .map_err(failed("connecting"))?;
    sqlx::raw_sql(SESSION)
        .execute(&mut connection)
        .await
        .map_err(failed("preparing the session"))?;
    check_schema::<Postgres>(&mut connection, tables).await?;
    let sql = Sql::new(tables);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt(&mut connection, &sql, tables, order).await {
            Ok(relocated) => return Ok(relocated),
            Err(Failed::Store(error)) => return Err(error),
            Err(Failed::Database(error)) if attempts < ATTEMPTS && is_conflict(&error) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(Failed::Database(error)) => return Err(failed("sorting the log's messages")(error)),
        }
    }
}

enum Failed {
    Database(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// serialization_failure, deadlock_detected
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// Sorts the rows by who has sent them, and writes the cursor. Returns the log's id.
async fn write(
    transaction: &mut PgConnection,
    sql: &Sql,
    order: Order,
    verdict: &Verdict,
    going_by: &GoingBy,
    (found, counts): (&Found, &Counts),
) -> Result<Uuid, Failed> {
    going_by
        .bind(sqlx::query(sql.sort.text()))
        .bind(found.snapshot.xmin().to_string())
        .execute(&mut *transaction)
        .await?;
    let cursor = verdict::cursor(found, counts);
    let log_id = write_cursor(transaction, sql, found, &cursor, order.is_fork()).await?;
    if order.is_fork() && verdict.skips() {
        for statement in [&sql.dead_letter_parked, &sql.forget_replays] {
            sqlx::query(statement.text()).execute(&mut *transaction).await?;
        }
    }
    if let Some(to) = verdict::sequence_moves_to(found) {
        sqlx::query(sql.move_sequence.text())
            .bind(to)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(log_id)
}

async fn attempt(
    connection: &mut PgConnection,
    sql: &Sql,
    tables: &Tables,
    order: Order,
) -> Result<Relocated, Failed> {
    let home = Home::ask(connection, &sql.home).await?;
    let mut transaction = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await?;
    let found = look(&mut transaction, sql, home).await?;
    let verdict = Verdict::of(order, &found, tables)?;
    let mut relocated = Relocated {
        needed: verdict.is_needed(),
        log_id: found.log_id.unwrap_or_default(),
        to_send: 0,
        delivered: 0,
        skipped: 0,
        parked: 0,
    };
    if let Some(going_by) = verdict.sorts() {
        let counts = count(&mut transaction, sql, &going_by, &found).await?;
        (relocated.to_send, relocated.delivered) = (counts.to_send, counts.delivered);
        (relocated.skipped, relocated.parked) = (counts.skipped, counts.parked);
        if !order.is_dry_run() {
            let found = (&found, &counts);
            relocated.log_id = write(&mut transaction, sql, order, &verdict, &going_by, found).await?;
        }
    }
    if verdict == Verdict::ForgetKafkasCursor {
        let going_by = GoingBy::the_cursor(found.cursor.as_ref());
        let counts = count(&mut transaction, sql, &going_by, &found).await?;
        (relocated.to_send, relocated.delivered) = (counts.to_send, counts.delivered);
        relocated.parked = counts.parked;
        sqlx::query(sql.forget_kafkas_cursor.text())
            .bind(&found.home.timeline)
            .execute(&mut *transaction)
            .await?;
    }
    if relocated.needed && !order.is_dry_run() {
        sqlx::query(sql.mend_lease.text())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(relocated)
}

/// What there is, in one snapshot; the cursor stays locked from here on.
async fn look(pg: &mut PgConnection, sql: &Sql, home: Home) -> Result<Found, Failed> {
    let here: PgRow = sqlx::query(sql.here.text()).fetch_one(&mut *pg).await?;
    if here.try_get::<bool, _>(1).map_err(undecodable)? {
        return Err(StoreError::new(StoreErrorKind::ReadOnly, "taking a snapshot").into());
    }
    let text = |column: usize| optional_text(&here, column).map(Option::unwrap_or_default);
    let newest = optional_text(&here, 2)?.as_deref().map(number).transpose()?;
    let snapshot = parsed(&text(0)?)?;
    let last_seq: i64 = sqlx::query_scalar(sql.sequence.text())
        .fetch_one(&mut *pg)
        .await?;
    let highest: i64 = sqlx::query_scalar(sql.highest.text()).fetch_one(&mut *pg).await?;
    // This transaction takes its id after the sequence was read, and before it locks anything.
    let next: String = sqlx::query_scalar("SELECT pg_current_xact_id()::text")
        .fetch_one(&mut *pg)
        .await?;
    let cursor = sqlx::query(sql.lock_cursor.text())
        .fetch_optional(&mut *pg)
        .await?;
    let has_lease: bool = sqlx::query_scalar(sql.has_lease.text())
        .fetch_one(&mut *pg)
        .await?;
    let (row, origin, log_id) = match &cursor {
        Some(row) => (
            Some(cursor_row(row)?),
            Origin::of(row, 6)?,
            Some(row.try_get::<Uuid, _>(10).map_err(undecodable)?),
        ),
        None => (None, Origin::default(), None),
    };
    Ok(Found {
        snapshot,
        home,
        newest,
        cursor: row,
        origin,
        log_id,
        last_seq,
        next: number(&next)?,
        highest,
        has_lease,
    })
}

async fn count(
    pg: &mut PgConnection,
    sql: &Sql,
    going_by: &GoingBy,
    found: &Found,
) -> Result<Counts, Failed> {
    let (to_send, delivered) = undelivered_and_delivered(pg, sql, going_by).await?;
    let by_cursor = GoingBy::the_cursor(found.cursor.as_ref());
    // Once through the log, unless it does not go by its cursor.
    let undelivered = if by_cursor == *going_by {
        to_send
    } else {
        undelivered_and_delivered(pg, sql, &by_cursor).await?.0
    };
    let parked: i64 = sqlx::query_scalar(sql.parked.text()).fetch_one(&mut *pg).await?;
    Ok(Counts {
        to_send,
        delivered,
        skipped: undelivered.saturating_sub(to_send),
        parked: parked.max(0).unsigned_abs(),
    })
}

async fn undelivered_and_delivered(
    pg: &mut PgConnection,
    sql: &Sql,
    going_by: &GoingBy,
) -> Result<(u64, u64), Failed> {
    let row = going_by
        .bind(sqlx::query(sql.count.text()))
        .fetch_one(&mut *pg)
        .await?;
    let number = |column: usize| row.try_get::<i64, _>(column);
    Ok((number(0)?.max(0).unsigned_abs(), number(1)?.max(0).unsigned_abs()))
}

async fn write_cursor(
    pg: &mut PgConnection,
    sql: &Sql,
    found: &Found,
    cursor: &super::progress::CursorRow,
    as_new_log: bool,
) -> Result<Uuid, Failed> {
    let open = cursor.open.as_ref();
    let log_id = sqlx::query_scalar(sql.write_cursor.text())
        .bind(cursor.from.snapshot.to_string())
        .bind(cursor.from.high)
        .bind(open.map(|(to, _)| to.snapshot.to_string()))
        .bind(open.map(|(to, _)| to.high))
        .bind(open.map(|(_, position)| *position))
        .bind(&found.home.system_identifier)
        .bind(&found.home.timeline)
        .bind(&found.home.database_oid)
        .bind(as_new_log)
        .bind(&found.home.table_oid)
        .fetch_one(&mut *pg)
        .await?;
    Ok(log_id)
}
