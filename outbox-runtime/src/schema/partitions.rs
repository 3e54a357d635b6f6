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
const AT_MOST: u32 = 100;

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
pub(super) async fn room(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<Option<Room>> {
    if !is_partitioned(connection, tables).await? {
        return Ok(None);
    }
    let newest = newest(connection, tables).await?;
    Ok(Some(Room {
        left: newest.below - 1 - newest.last_seq,
        partition: newest.rows,
    }))
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
    if newest(connection, tables).await?.missing() == 0 {
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
    let newest = newest(&mut tx, tables).await?;
    let missing = newest.missing();
    let (messages, keep_undelivered) = (tables.messages(), tables.quoted("keep_undelivered"));
    for number in 0..i64::from(missing) {
        let low = newest.below + number * newest.rows;
        let below = low + newest.rows;
        let partition = tables.quoted(&format!("messages_p{low}"));
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
    Ok(missing)
}

/// The newest partition, and how far the log is.
#[derive(Debug)]
struct Newest {
    last_seq: i64,
    /// Where the next partition begins.
    below: i64,
    rows: i64,
}

impl Newest {
    fn missing(&self) -> u32 {
        let wanted = self
            .last_seq
            .saturating_add(i64::from(PARTITIONS_AHEAD) * self.rows);
        let missing = (wanted - self.below).max(0) / self.rows;
        u32::try_from(missing).unwrap_or(AT_MOST).min(AT_MOST)
    }
}

async fn newest(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<Newest> {
    let sequence = tables.quoted("messages_seq_seq");
    let (last_seq, low, below): (i64, Option<i64>, Option<i64>) = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT (SELECT last_value FROM {sequence}), newest.low, newest.below
         FROM (SELECT) AS one LEFT JOIN LATERAL (
           SELECT range[1]::bigint AS low, range[2]::bigint AS below
           FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
           CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                           $$FROM \\('?(-?\\d+)'?\\) TO \\('?(-?\\d+)'?\\)$$) AS range
           WHERE i.inhparent = to_regclass($1) AND range IS NOT NULL
           ORDER BY 2 DESC LIMIT 1
         ) AS newest ON true"
    )))
    .bind(tables.messages())
    .fetch_one(connection)
    .await?;
    Ok(match (low, below) {
        (Some(low), Some(below)) => Newest {
            last_seq,
            below,
            rows: (below - low).max(1),
        },
        // All were dropped by hand.
        _ => {
            let rows = i64::from(Layout::PARTITION_ROWS);
            Newest {
                last_seq,
                below: last_seq / rows * rows,
                rows,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Newest;

    #[test]
    fn room_is_counted_from_the_newest_message() {
        let missing = |last_seq, below| {
            Newest {
                last_seq,
                below,
                rows: 100,
            }
            .missing()
        };
        assert_eq!(missing(1, 1_600), 0);
        assert_eq!(missing(100, 1_600), 1);
        assert_eq!(missing(399, 1_600), 3);
        // Writers went on where there was no room.
        assert_eq!(missing(2_000, 1_600), 20);
        assert_eq!(missing(i64::MAX, 1_600), 100);
    }
}
