//! Looks for messages in the log and in the dead letters, and says where they are: all in one snapshot, because a
//! message that moves meanwhile would be seen nowhere, or taken for delivered.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use super::claim::{Origin, cursor_row, elsewhere};
use super::connection::Connection;
use super::home::Home;
use super::observe;
use super::progress::CursorRow;
use super::snapshot::Xid;
use super::sql::Sql;
use crate::Tables;
use crate::store::inspected::Sought;
use crate::store::inspected::judgement::{DeadLetterRow, Found, Obstacles, Place, Row};
use crate::store::reader::{BEHIND_DEAD, KEY_PAUSED, TOPIC_THROTTLED};
use crate::store::{Inspect, Inspection, LogSearch, OpenWriter, StoreError};

/// Rows that one statement looks at.
const AT_ONCE: i64 = 10_000;

/// Open transactions that are listed.
const WRITERS_AT_MOST: i64 = 20;

const DOING: &str = "looking for messages";

pub(super) async fn inspect(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
    wanted: &Inspect,
) -> Result<Inspection, StoreError> {
    let home = connection
        .run(DOING, async |pg| Home::ask(pg, &sql.home).await)
        .await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    execute(connection, begin).await?;
    let cursor = connection
        .run(DOING, async |pg| {
            sqlx::query(sql.cursor.text()).fetch_optional(pg).await
        })
        .await?;
    let cursor = match cursor {
        Some(row) if Origin::of(&row, 6)?.is_elsewhere(&home) => return Err(elsewhere(tables)),
        Some(row) => cursor_row(&row)?,
        None => return Err(StoreError::lost_cursor(tables)),
    };
    let relay = observe::lease(connection, sql, tables).await?;
    let (rows, looked_at, complete) = log(connection, tables, wanted).await?;
    let dead_letters = dead_letters(connection, tables, wanted, &rows).await?;
    let obstacles = obstacles(connection, tables, &rows, &dead_letters).await?;
    let open_writers = open_writers(connection, tables).await?;
    let log_begins_at = log_begins_at(connection, tables).await?;
    execute(connection, "COMMIT").await?;
    let xids: Vec<(i64, Option<Xid>)> = rows.iter().map(|(row, xid)| (row.1, *xid)).collect();
    let found = Found {
        rows: rows.into_iter().map(|(row, _)| row).collect(),
        dead_letters,
        search: LogSearch {
            looked_at,
            complete,
            log_begins_at,
            open_writers,
            relay,
        },
    };
    let place = |row: &Row| {
        let xid = xids
            .iter()
            .find(|(seq, _)| *seq == row.1)
            .and_then(|(_, xid)| *xid);
        place(&cursor, xid.unwrap_or_default(), row.1)
    };
    let obstacle = |topic: &str, key: &str| {
        let of = obstacles.iter().find(|((t, k), _)| t == topic && k == key);
        of.map(|(_, obstacles)| *obstacles).unwrap_or_default()
    };
    Ok(found.inspection(wanted.limit, place, obstacle))
}

async fn execute(connection: &mut Connection, statement: &'static str) -> Result<(), StoreError> {
    connection
        .run(DOING, async |pg| {
            sqlx::raw_sql(statement).execute(pg).await.map(drop)
        })
        .await
}

/// Where the cursor is, seen from a committed row.
fn place(cursor: &CursorRow, xid: Xid, seq: i64) -> Place {
    let CursorRow { from, open } = cursor;
    let distance = |settled: i64| {
        let is_new = seq > from.high;
        is_new.then(|| {
            seq.saturating_sub(settled.max(from.high) + 1)
                .max(0)
                .unsigned_abs()
        })
    };
    // One above its bound on seq is sent again: somebody has rewound.
    if from.snapshot.sees(xid) && seq <= from.high {
        return Place::Behind;
    }
    match open {
        Some((to, settled)) if to.snapshot.sees(xid) => match seq <= *settled {
            true => Place::Behind,
            false => Place::InWindow(distance(*settled)),
        },
        Some((_, settled)) => Place::Ahead(distance(*settled)),
        None => Place::Ahead(distance(0)),
    }
}

/// The condition on a row of the log or of the dead letters, and the text that is bound as `$1`. `$2` is the topic.
fn condition(sought: &Sought) -> (&'static str, String) {
    match sought {
        Sought::Id(id) => ("m.id = $1::text::uuid", id.to_string()),
        Sought::Key(key) => ("m.aggregate_id = $1::text", key.clone()),
        Sought::CorrelationId(id) => ("m.headers->>'ce_correlationid' = $1::text", id.clone()),
    }
}

const TOPIC: &str = "($2::text IS NULL OR m.topic = $2)";

fn time(column: &str) -> String {
    format!(r#"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#)
}

type WithXid = (Row, Option<Xid>);

/// The newest rows of the log that match, how many were looked at, and whether these were all.
async fn log(
    connection: &mut Connection,
    tables: &Tables,
    wanted: &Inspect,
) -> Result<(Vec<WithXid>, u64, bool), StoreError> {
    let messages = tables.messages();
    let (matches, value) = condition(&wanted.sought);
    let piece = format!(
        "SELECT min(seq), count(*) FROM (SELECT seq FROM {messages} WHERE seq < $1 ORDER BY seq DESC LIMIT $2) p"
    );
    // The commit's time is kept only where the server is configured to, and not for ever. Its function takes the number
    // that wraps around, so it is asked only where that is unambiguous.
    let page = format!(
        "SELECT m.id::text, m.seq, m.topic, m.aggregate_id, m.event_type, m.headers->>'ce_correlationid', {},
                CASE WHEN current_setting('track_commit_timestamp') = 'on'
                      AND pg_snapshot_xmax(pg_current_snapshot())::text::bigint - m.xid::text::bigint < 1000000000
                      AND m.xid::text::bigint > 4 THEN {} END, m.xid::text
         FROM {messages} m WHERE m.seq >= $3 AND m.seq < $4 AND {matches} AND {TOPIC} ORDER BY m.seq DESC LIMIT $5",
        time("m.occurred_at"),
        time("pg_xact_commit_timestamp(m.xid::xid)"),
    );
    let (mut below, mut looked_at, mut rows) = (i64::MAX, 0_u64, Vec::new());
    loop {
        let left = i64::try_from(wanted.scan - looked_at).unwrap_or(i64::MAX);
        let (found, first, seen) = connection
            .run(DOING, async |pg: &mut PgConnection| {
                let (first, seen): (Option<i64>, i64) = sqlx::query_as(AssertSqlSafe(piece.as_str()))
                    .bind(below)
                    .bind(left.min(AT_ONCE))
                    .fetch_one(&mut *pg)
                    .await?;
                let Some(first) = first else {
                    return Ok((Vec::new(), None, seen));
                };
                let wanted_rows = i64::try_from(wanted.limit - rows.len()).unwrap_or(i64::MAX);
                let found = sqlx::query_as(AssertSqlSafe(page.as_str()))
                    .bind(&value)
                    .bind(&wanted.topic)
                    .bind(first)
                    .bind(below)
                    .bind(wanted_rows)
                    .fetch_all(pg)
                    .await?;
                Ok((found, Some(first), seen))
            })
            .await?;
        looked_at += seen.unsigned_abs();
        rows.extend(found.into_iter().map(with_xid));
        let Some(first) = first.filter(|_| seen > 0) else {
            return Ok((rows, looked_at, true));
        };
        let enough = rows.len() >= wanted.limit || matches!(wanted.sought, Sought::Id(_)) && !rows.is_empty();
        if enough || looked_at >= wanted.scan {
            let complete = matches!(wanted.sought, Sought::Id(_)) && !rows.is_empty();
            return Ok((rows, looked_at, complete));
        }
        below = first;
    }
}

type Columns = (
    String,
    i64,
    String,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
    String,
);

fn with_xid(columns: Columns) -> WithXid {
    let (id, seq, topic, key, event_type, correlation_id, occurred_at, committed_at, xid) = columns;
    let row = (
        id,
        seq,
        topic,
        key,
        event_type,
        correlation_id,
        occurred_at,
        committed_at,
    );
    (row, xid.parse().ok())
}

/// The dead letters that match, and those of the rows that were found.
async fn dead_letters(
    connection: &mut Connection,
    tables: &Tables,
    wanted: &Inspect,
    rows: &[WithXid],
) -> Result<Vec<DeadLetterRow>, StoreError> {
    let (matches, value) = condition(&wanted.sought);
    let text = format!(
        "SELECT m.id::text, m.seq, m.topic, m.aggregate_id, m.event_type, m.headers->>'ce_correlationid', {},
                m.state, m.reason, m.error, m.attempts::bigint, {}, {}, {}
         FROM {} m WHERE ({matches} AND {TOPIC}) OR m.id = ANY ($3::text[]::uuid[])
         ORDER BY m.position DESC LIMIT $4",
        time("m.occurred_at"),
        time("m.first_failed_at"),
        time("m.last_failed_at"),
        time("m.replay_requested_at"),
        tables.dead_letters(),
    );
    let ids: Vec<&str> = rows.iter().map(|(row, _)| row.0.as_str()).collect();
    let at_most = i64::try_from(wanted.limit + ids.len()).unwrap_or(i64::MAX);
    connection
        .run(DOING, async |pg| {
            sqlx::query_as(AssertSqlSafe(text))
                .bind(value)
                .bind(&wanted.topic)
                .bind(ids)
                .bind(at_most)
                .fetch_all(pg)
                .await
        })
        .await
}

/// What holds up the topics and keys of what was found.
async fn obstacles(
    connection: &mut Connection,
    tables: &Tables,
    rows: &[WithXid],
    dead_letters: &[DeadLetterRow],
) -> Result<Vec<((String, String), Obstacles)>, StoreError> {
    let of_rows = rows.iter().map(|(row, _)| (row.2.clone(), row.3.clone()));
    let of_dead_letters = dead_letters
        .iter()
        .map(|dead_letter| (dead_letter.2.clone(), dead_letter.3.clone()));
    let mut keys: Vec<(String, String)> = of_rows.chain(of_dead_letters).collect();
    keys.sort();
    keys.dedup();
    let dead_letters = tables.dead_letters();
    let text = format!(
        "SELECT EXISTS (SELECT FROM {dead_letters} d WHERE d.state = 'parked' AND substr(d.topic, 1, 250) = substr($1, 1, 250)
                          AND d.topic = $1 AND d.reason NOT IN ('{BEHIND_DEAD}', '{KEY_PAUSED}', '{TOPIC_THROTTLED}')),
                EXISTS (SELECT FROM {dead_letters} d WHERE substr(d.topic, 1, 250) = substr($1, 1, 250)
                          AND hashtextextended(d.aggregate_id, 0) = hashtextextended($2, 0)
                          AND d.topic = $1 AND d.aggregate_id = $2)"
    );
    let mut found = Vec::with_capacity(keys.len());
    for (topic, key) in keys {
        let (of_topic, of_key) = connection
            .run(DOING, async |pg| {
                let query = sqlx::query_as(AssertSqlSafe(text.as_str()))
                    .bind(&topic)
                    .bind(&key);
                query.fetch_one(pg).await
            })
            .await?;
        let obstacles = Obstacles {
            topic: of_topic,
            key: of_key,
            operator: false,
            throttle: false,
        };
        found.push(((topic, key), obstacles));
    }
    Ok(found)
}

/// Who inserted into the table keeps this lock until the end of the transaction. A prepared transaction has no process,
/// and is found by its number.
pub(super) async fn open_writers(
    connection: &mut Connection,
    tables: &Tables,
) -> Result<Vec<OpenWriter>, StoreError> {
    let text = format!(
        "SELECT DISTINCT a.pid, p.gid, nullif(a.application_name, ''), coalesce(a.usename, p.owner)::text,
                coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::float8 AS age
         FROM pg_locks l
         LEFT JOIN pg_stat_activity a ON a.pid = l.pid
         LEFT JOIN pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction::text
         WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
           AND l.relation = '{}'::regclass
           AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
         ORDER BY age DESC LIMIT $1",
        tables.messages()
    );
    type Writer = (Option<i32>, Option<String>, Option<String>, Option<String>, f64);
    let writers: Vec<Writer> = connection
        .run("looking for open transactions", async |pg| {
            let query = sqlx::query_as(AssertSqlSafe(text)).bind(WRITERS_AT_MOST);
            query.fetch_all(pg).await
        })
        .await?;
    let writer = |(pid, prepared, application, role, age): Writer| OpenWriter {
        pid,
        prepared,
        application,
        role,
        age: Duration::try_from_secs_f64(age).unwrap_or_default(),
    };
    Ok(writers.into_iter().map(writer).collect())
}

async fn log_begins_at(connection: &mut Connection, tables: &Tables) -> Result<Option<String>, StoreError> {
    let text = format!(
        "SELECT (SELECT {} FROM {} m ORDER BY m.seq LIMIT 1)",
        time("m.occurred_at"),
        tables.messages()
    );
    connection
        .run(DOING, async |pg| {
            sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(pg).await
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::super::window::Edge;
    use super::*;

    fn edge(snapshot: &str, high: i64) -> Edge {
        Edge::new(snapshot.parse().unwrap(), high, None)
    }

    #[test]
    fn a_row_is_behind_the_cursor_in_its_window_or_ahead() {
        let from = edge("10:20:10,14", 100);
        let open = Some((edge("14:30:14", 200), 120));
        let cursor = CursorRow { from, open };
        // Of transaction 9 everything is settled, whatever its seq.
        assert_eq!(place(&cursor, 9, 50), Place::Behind);
        // 10 was running at the lower edge: its rows are late, and those up to the settled one are done.
        assert_eq!(place(&cursor, 10, 90), Place::Behind);
        assert_eq!(place(&cursor, 25, 120), Place::Behind);
        assert_eq!(place(&cursor, 25, 121), Place::InWindow(Some(0)));
        assert_eq!(place(&cursor, 25, 131), Place::InWindow(Some(10)));
        // 14 is still running in the window's upper edge, 40 has not begun then.
        assert_eq!(place(&cursor, 14, 90), Place::Ahead(None));
        assert_eq!(place(&cursor, 40, 221), Place::Ahead(Some(100)));
        let idle = CursorRow {
            from: edge("10:20:10", 100),
            open: None,
        };
        assert_eq!(place(&idle, 10, 90), Place::Ahead(None));
        assert_eq!(place(&idle, 20, 101), Place::Ahead(Some(0)));
        assert_eq!(place(&idle, 12, 90), Place::Behind);
    }
}
