//! Room for messages to come: partitions are made ahead of the newest one, and attached without stopping writers.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::dialect::Room;
use super::layout::PARTITIONS_AHEAD;
use super::locks::{holders, is_lock_timeout};
use super::render::ADVISORY_LOCK;
use super::{Layout, Tables};

/// How often it is tried, and how long the pauses are. All of it stays below the time that a statement may take.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// More are not made at once, however far behind they are.
const AT_MOST: usize = 100;

/// Whether the messages are partitioned.
pub(crate) async fn is_partitioned(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table WHERE partrelid = to_regclass($1))",
    )
    .bind(tables.messages())
    .fetch_one(connection)
    .await
}

/// How much room there is for messages to come; none if it is not limited.
pub(crate) async fn room(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<Option<Room>> {
    if !is_partitioned(connection, tables).await? {
        return Ok(None);
    }
    let there = look(connection, tables).await?;
    // One for all others takes what has no room elsewhere.
    Ok((!there.has_default).then(|| Room {
        left: there.covered_to(there.next) - there.next,
        partition: there.rows(),
        hole: there.hole(),
    }))
}

/// How many whole partitions there are ahead of the newest message; none if the room is not limited.
#[cfg(feature = "metrics")]
pub(crate) async fn partitions_ahead(
    connection: &mut PgConnection,
    tables: &Tables,
) -> sqlx::Result<Option<u64>> {
    let room = room(connection, tables).await?;
    Ok(room.map(|room| (room.left / room.partition).max(0).unsigned_abs()))
}

/// Makes the partitions that are missing ahead of the newest message, and says how many those were.
///
/// A new table is made beside the log and then attached, which takes a lock on the log that writers and readers
/// do not wait for. All of it is one transaction, beside which nobody else does the same.
///
/// Where another session keeps a lock that this needs, it gives up soon and tries again; in the end the sessions that hold
/// locks are returned instead.
pub(crate) async fn make_partitions(
    connection: &mut PgConnection,
    tables: &Tables,
) -> sqlx::Result<Result<u32, String>> {
    for _ in 1..ATTEMPTS {
        match try_to_make_partitions(connection, tables).await {
            Err(error) if is_lock_timeout(&error) => tokio::time::sleep(PAUSE).await,
            made => return made.map(Ok),
        }
    }
    match try_to_make_partitions(connection, tables).await {
        Err(error) if is_lock_timeout(&error) => Ok(Err(holders(connection, tables).await?)),
        made => made.map(Ok),
    }
}

async fn try_to_make_partitions(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<u32> {
    // Most of the time there is nothing to do: that is found out without a lock.
    if look(connection, tables).await?.missing().is_empty() {
        return Ok(0);
    }
    let mut tx = connection.begin().await?;
    sqlx::query("SET LOCAL lock_timeout = '2s'")
        .execute(&mut *tx)
        .await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(ADVISORY_LOCK)
        .execute(&mut *tx)
        .await?;
    let missing = look(&mut tx, tables).await?.missing();
    let (messages, keep_undelivered) = (tables.messages(), tables.quoted("keep_undelivered"));
    for Range { low, below } in &missing {
        let partition = free_name(&mut tx, tables, *low).await?;
        // Without the identity: the log hands the numbers out. Indexes come with the attachment.
        let script = format!(
            "CREATE TABLE {partition} (LIKE {messages} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
             ALTER TABLE {messages} ATTACH PARTITION {partition} FOR VALUES FROM ({low}) TO ({below});
             CREATE TRIGGER keep_undelivered_from_delete AFTER DELETE ON {partition}
               REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {keep_undelivered}();
             CREATE TRIGGER keep_undelivered_from_truncate BEFORE TRUNCATE ON {partition}
               FOR EACH STATEMENT EXECUTE FUNCTION {keep_undelivered}()"
        );
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(u32::try_from(missing.len()).unwrap_or(u32::MAX))
}

/// A name for the partition that begins here. One that was detached may have the usual one still.
async fn free_name(connection: &mut PgConnection, tables: &Tables, low: i64) -> sqlx::Result<String> {
    let mut name = tables.quoted(&format!("messages_p{low}"));
    for another in 2.. {
        let is_free: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NULL")
            .bind(&name)
            .fetch_one(&mut *connection)
            .await?;
        if is_free {
            break;
        }
        name = tables.quoted(&format!("messages_p{low}_{another}"));
    }
    Ok(name)
}

/// Numbers from `low` on and below `below`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: i64,
    below: i64,
}

/// The partitions that there are, and which number is the next.
#[derive(Debug)]
struct Partitions {
    next: i64,
    /// In order; they do not overlap.
    ranges: Vec<Range>,
    has_default: bool,
}

impl Partitions {
    /// How many numbers a partition spans: as many as the newest one.
    fn rows(&self) -> i64 {
        self.ranges
            .last()
            .map_or(i64::from(Layout::PARTITION_ROWS), |newest| {
                newest.below.saturating_sub(newest.low).max(1)
            })
    }

    /// The first number from here on that no partition takes.
    fn covered_to(&self, number: i64) -> i64 {
        self.ranges.iter().fold(
            number,
            |at, range| {
                if range.low <= at { at.max(range.below) } else { at }
            },
        )
    }

    /// Numbers to come without a partition, before others that have one.
    fn hole(&self) -> Option<(i64, i64)> {
        let low = self.covered_to(self.next);
        let above = self.ranges.iter().find(|range| range.low > low)?;
        Some((low, above.low))
    }

    /// What has to be made, so that there is room for so many partitions' worth of messages to come.
    fn missing(&self) -> Vec<Range> {
        let rows = self.rows();
        let wanted = (self.next - 1).saturating_add(i64::from(PARTITIONS_AHEAD).saturating_mul(rows));
        let mut missing = Vec::new();
        let mut at = self.next;
        while missing.len() < AT_MOST {
            at = self.covered_to(at);
            let before = self.ranges.iter().rfind(|range| range.below <= at);
            let above = self.ranges.iter().find(|range| range.low > at);
            let low = before
                .map_or(i64::MIN, |range| range.below)
                .max(at.div_euclid(rows) * rows);
            let below = low.saturating_add(rows);
            let made = match above {
                Some(above) if low < wanted => Range {
                    low,
                    below: below.min(above.low),
                },
                None if at < below && below <= wanted => Range { low, below },
                _ => break,
            };
            at = made.below;
            missing.push(made);
        }
        missing
    }
}

/// The log's partitions ($1) and which numbers they take. One that is dropped meanwhile has no bound any more.
const BOUNDS: &str = "
    SELECT c.oid, c.relkind, coalesce(pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', false) AS is_default,
           range[1]::bigint AS low, range[2]::bigint AS below
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    LEFT JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                   $$FROM \\('?(-?\\d+)'?\\) TO \\('?(-?\\d+)'?\\)$$) AS range ON true
    WHERE i.inhparent = to_regclass($1)";

/// The partitions for which no number will be given out any more, in order: name, upper bound and size of each. Beside
/// them the size of all partitions.
pub(crate) async fn full_partitions(
    connection: &mut PgConnection,
    tables: &Tables,
) -> sqlx::Result<(Vec<(String, i64, i64)>, i64)> {
    let next = next_number(connection, tables).await?;
    type Part = (String, Option<i64>, i64, bool);
    let all: Vec<Part> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT format('%I.%I', n.nspname, c.relname), part.below, coalesce(pg_total_relation_size(part.oid), 0),
                coalesce(part.relkind = 'r' AND part.below <= $2, false)
         FROM ({BOUNDS}) AS part JOIN pg_catalog.pg_class c ON c.oid = part.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY part.low"
    )))
    .bind(tables.messages())
    .bind(next)
    .fetch_all(connection)
    .await?;
    let bytes = all.iter().map(|(.., bytes, _)| bytes).sum();
    let full = all.into_iter().filter(|(.., is_full)| *is_full);
    let full = full.filter_map(|(name, below, bytes, _)| Some((name, below?, bytes)));
    Ok((full.collect(), bytes))
}

/// Whether the role owns the log and all of its partitions, or is a member of the role that does.
pub(crate) async fn owns_partitions(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<bool> {
    sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT bool_and(pg_has_role(c.relowner, 'USAGE')) FROM pg_catalog.pg_class c
         WHERE c.oid = to_regclass($1) OR c.oid IN (SELECT oid FROM ({BOUNDS}) AS part)"
    )))
    .bind(tables.messages())
    .fetch_one(connection)
    .await
}

/// The number that the next message gets.
async fn next_number(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<i64> {
    let sequence: Option<String> = sqlx::query_scalar("SELECT pg_get_serial_sequence($1, 'seq')")
        .bind(tables.messages())
        .fetch_one(&mut *connection)
        .await?;
    let Some(sequence) = sequence else {
        return Ok(1);
    };
    let next = format!("SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM {sequence}");
    sqlx::query_scalar(AssertSqlSafe(next))
        .fetch_one(connection)
        .await
}

async fn look(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<Partitions> {
    let next = next_number(connection, tables).await?;
    let found: Vec<(bool, Option<i64>, Option<i64>)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT is_default, low, below FROM ({BOUNDS}) AS part ORDER BY low"
    )))
    .bind(tables.messages())
    .fetch_all(connection)
    .await?;
    Ok(Partitions {
        next,
        has_default: found.iter().any(|(is_default, ..)| *is_default),
        ranges: found
            .into_iter()
            .filter_map(|(_, low, below)| low.zip(below))
            .map(|(low, below)| Range { low, below })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(next: i64, ranges: &[(i64, i64)]) -> Partitions {
        Partitions {
            next,
            ranges: ranges.iter().map(|&(low, below)| Range { low, below }).collect(),
            has_default: false,
        }
    }

    fn missing(next: i64, ranges: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let missing = partitions(next, ranges).missing();
        missing.iter().map(|range| (range.low, range.below)).collect()
    }

    #[test]
    fn room_is_counted_from_the_newest_message() {
        let all = [(0, 100), (100, 1_500), (1_500, 1_600)];
        assert_eq!(missing(2, &all), []);
        assert_eq!(missing(101, &all), [(1_600, 1_700)]);
        assert_eq!(
            missing(400, &all),
            [(1_600, 1_700), (1_700, 1_800), (1_800, 1_900)]
        );
        // Writers went on where there was no room: those numbers are gone.
        assert_eq!(missing(2_001, &all).len(), 16);
        assert_eq!(missing(2_001, &all)[0], (2_000, 2_100));
        assert!(missing(i64::MAX, &all).len() < 2);
        let rows = i64::from(Layout::PARTITION_ROWS);
        assert_eq!(missing(1, &[])[0], (0, rows));
        assert_eq!(missing(1, &[]).len(), 16);
    }

    #[test]
    fn what_was_dropped_ahead_is_made_again() {
        let hole = [(0, 100), (300, 400), (400, 1_900), (1_900, 2_000)];
        assert_eq!(missing(50, &hole), [(100, 200), (200, 300)]);
        let hole = [
            (0, 100),
            (250, 300),
            (300, 400),
            (400, 500),
            (500, 2_100),
            (2_100, 2_200),
        ];
        assert_eq!(missing(50, &hole), [(100, 200), (200, 250)]);
        assert_eq!(partitions(50, &hole).hole(), Some((100, 250)));
        assert_eq!(partitions(50, &hole).covered_to(50), 100);
        // The one for the next message itself, also after the sequence went back to where they are gone.
        assert_eq!(missing(150, &hole), [(100, 200), (200, 250)]);
        let gone = [(5_000, 5_100), (5_100, 5_200)];
        assert_eq!(missing(1, &gone)[0], (0, 100));
        assert_eq!(partitions(1, &gone).covered_to(1), 1);
        assert_eq!(missing(1, &gone).len(), 16);
    }
}
