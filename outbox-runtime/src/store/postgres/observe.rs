//! What a health check looks at.

use std::time::Duration;

use super::connection::Connection;
use super::sql::Sql;
use super::status;
use crate::Tables;
use crate::schema::{SchemaDatabase as _, TablesVersion, room};
use crate::store::controls::interventions::{Columns, Decided};
use crate::store::{Counted, LeaseStatus, LogState, ParkedTopic, PartitionRoom, Pause, StoreError};

/// Counting dead letters stops here.
const MAX_COUNTED_DEAD_LETTERS: i64 = 20_000;

/// So many topics are looked at.
const TOPICS_AT_MOST: i32 = 50;

/// Counting the parked records of a topic stops here.
const PARKED_AT_MOST: i64 = 1_000;

/// The tables' version, and whether the database refuses writes.
pub(super) async fn server_state(
    connection: &mut Connection,
    tables: &Tables,
) -> Result<(Option<TablesVersion>, bool), StoreError> {
    connection
        .run("reading the tables' version", async |pg| {
            let asked = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";
            let read_only = sqlx::query_scalar(asked).fetch_one(&mut *pg).await?;
            Ok((sqlx::Postgres::installed_version(pg, tables).await?, read_only))
        })
        .await
}

pub(super) async fn log(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
) -> Result<LogState, StoreError> {
    let progress = relay_progress(connection, sql, tables).await?;
    let backlog = status::backlog(connection, sql, tables).await?;
    let (size, writer) = (sql.observe.size.text(), sql.observe.longest_writer.text());
    let (bytes, writer, room) = connection
        .run("reading the log's size and its writers", async |pg| {
            let bytes: Option<i64> = sqlx::query_scalar(size).fetch_one(&mut *pg).await?;
            let writer: Option<f64> = sqlx::query_scalar(writer).fetch_one(&mut *pg).await?;
            Ok((bytes, writer, room(pg, tables).await?))
        })
        .await?;
    let (dead, parked) = dead_letters(connection, sql).await?;
    let paused = sql.interventions.text();
    let paused: Vec<Columns> = connection
        .run("reading what is paused", async |pg| {
            sqlx::query_as(paused).fetch_all(pg).await
        })
        .await?;
    Ok(LogState {
        backlog,
        lease: progress.lease,
        lease_silent: progress.silent,
        cursor_age: progress.cursor_age,
        written_to: progress.written_to,
        delivered_to: progress.delivered_to,
        dead,
        parked,
        table_bytes: rows(bytes.unwrap_or_default()),
        longest_writer: writer.map(seconds),
        paused: paused
            .into_iter()
            .map(Decided::from)
            .filter_map(Pause::of)
            .collect(),
        partitions: room.map(|room| PartitionRoom {
            messages_left: rows(room.left),
            partition_messages: rows(room.partition),
        }),
    })
}

/// Who relays, and how far.
struct RelayProgress {
    lease: Option<LeaseStatus>,
    silent: Option<Duration>,
    cursor_age: Duration,
    written_to: u64,
    delivered_to: u64,
}

/// Who relays.
pub(super) async fn lease(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
) -> Result<Option<LeaseStatus>, StoreError> {
    Ok(relay_progress(connection, sql, tables).await?.lease)
}

async fn relay_progress(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
) -> Result<RelayProgress, StoreError> {
    let text = sql.observe.lease.text();
    type Row = (
        Option<String>,
        i64,
        Option<f64>,
        i64,
        Option<f64>,
        i64,
        Option<i64>,
    );
    let row: Option<Row> = connection
        .run("reading the lease", async |pg| {
            sqlx::query_as(text).fetch_optional(pg).await
        })
        .await?;
    let (holder, epoch, silent, ttl_ms, cursor_age, written_to, delivered_to) =
        row.ok_or_else(|| StoreError::lost_lease(tables))?;
    let silent = silent.map(seconds);
    let age = silent.unwrap_or_default();
    let alive = age <= Duration::from_millis(rows(ttl_ms));
    let lease = holder
        .filter(|_| alive)
        .map(|holder| LeaseStatus { holder, epoch, age });
    Ok(RelayProgress {
        lease,
        silent,
        cursor_age: seconds(cursor_age.unwrap_or_default()),
        written_to: rows(written_to),
        delivered_to: rows(delivered_to.unwrap_or_default()),
    })
}

async fn dead_letters(
    connection: &mut Connection,
    sql: &Sql,
) -> Result<(Counted, Vec<ParkedTopic>), StoreError> {
    let (dead, parked) = (sql.observe.dead.text(), sql.observe.parked.text());
    let ((dead, seen), parked) = connection
        .run("counting the dead letters", async |pg| {
            let dead: (i64, i64) = sqlx::query_as(dead)
                .bind(MAX_COUNTED_DEAD_LETTERS)
                .fetch_one(&mut *pg)
                .await?;
            let parked: Vec<(String, i64, i64)> = sqlx::query_as(parked)
                .bind(TOPICS_AT_MOST)
                .bind(PARKED_AT_MOST)
                .fetch_all(pg)
                .await?;
            Ok((dead, parked))
        })
        .await?;
    let dead = Counted {
        rows: rows(dead),
        exact: seen < MAX_COUNTED_DEAD_LETTERS,
    };
    let parked = parked.into_iter().map(|(topic, suspended, seen)| ParkedTopic {
        topic,
        suspended: rows(suspended),
        behind_dead: rows(seen - suspended),
        exact: seen < PARKED_AT_MOST,
    });
    Ok((dead, parked.collect()))
}

fn rows(count: i64) -> u64 {
    count.max(0).unsigned_abs()
}

/// The server's clock may have been set back.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
