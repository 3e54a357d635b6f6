//! The statements that delete.

use crate::Tables;
use crate::store::statement::Statement;

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) hold_cursor: Statement,
    pub(super) prune: Statement,
    pub(super) would_prune: Statement,
    pub(super) weigh: Statement,
    pub(super) prune_dead_letters: Statement,
    pub(super) would_prune_dead_letters: Statement,
}

/// What a message takes, without reading what is stored outside of the row. 150 bytes are the row's and index entries'
/// own, and its fixed columns.
const BYTES: &str =
    "150 + coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0)
    + pg_column_size(m.headers) + octet_length(m.aggregate_type) + octet_length(m.aggregate_id)
    + octet_length(m.event_type) + octet_length(m.topic)";

impl Sql {
    pub(super) fn new(tables: &Tables) -> Self {
        let (messages, cursor) = (tables.messages(), tables.cursor());
        let dead_letters = tables.dead_letters();
        let put = Statement::new;
        Self {
            // This lock lets the relay write the cursor, which only ever goes forward. It keeps out whoever moves the
            // cursor back or removes it: those lock the whole row. A message of a transaction that has not happened here
            // was written elsewhere.
            hold_cursor: put(format!(
                "SELECT c.system_identifier, c.database_oid::text, c.table_oid::text, c.timeline,
                        c.tableoid::oid::text,
                        coalesce((SELECT m.xid FROM {messages} m ORDER BY m.xid DESC, m.seq DESC LIMIT 1)
                                 >= pg_current_xact_id(), false)
                 FROM {cursor} c FOR KEY SHARE OF c"
            )),
            prune: put(pruning(
                &messages,
                &cursor,
                &format!(
                    "DELETE FROM {messages} m WHERE m.seq = ANY (ARRAY(SELECT seq FROM settled))
                       AND pg_visible_in_snapshot(m.xid, (SELECT from_snapshot FROM persisted))
                     RETURNING m.seq"
                ),
            )),
            would_prune: put(pruning(&messages, &cursor, "SELECT seq FROM settled")),
            weigh: put(format!(
                "SELECT max(m.seq), coalesce(sum(m.bytes), 0)::bigint FROM (
                   SELECT m.seq, {BYTES} AS bytes FROM {messages} m WHERE m.seq > $1 ORDER BY m.seq LIMIT $2) m"
            )),
            prune_dead_letters: put(format!(
                "DELETE FROM {dead_letters} WHERE state = 'dead' AND replay_requested_at IS NULL
                   AND (id, seq) IN ({}) RETURNING id, seq, topic, event_type, reason",
                old_dead_letters(&dead_letters)
            )),
            would_prune_dead_letters: put(format!(
                "SELECT count(*) FROM ({}) old",
                old_dead_letters(&dead_letters)
            )),
        }
    }
}

/// `what` takes the rows of `settled` and returns the seq of each that goes. Seq alone decides nothing: transactions that
/// were running at the cursor's lower edge may still commit rows far below it.
fn pruning(messages: &str, cursor: &str, what: &str) -> String {
    format!(
        "WITH persisted AS MATERIALIZED (SELECT from_snapshot, high FROM {cursor}),
         looked_at AS MATERIALIZED (
           SELECT m.seq, m.xid, m.occurred_at, CASE WHEN $4 THEN {BYTES} ELSE 0 END AS bytes FROM {messages} m
           WHERE m.seq > $1 AND m.seq <= (SELECT high FROM persisted WHERE from_snapshot IS NOT NULL)
           ORDER BY m.seq LIMIT $2),
         settled AS MATERIALIZED (
           SELECT l.seq FROM looked_at l
           WHERE pg_visible_in_snapshot(l.xid, (SELECT from_snapshot FROM persisted))
             AND ($3::float8 IS NULL OR l.occurred_at < now() - make_interval(secs => $3::float8))),
         gone AS ({what})
         SELECT max(l.seq), max(g.seq), count(g.seq), coalesce(sum(l.bytes) FILTER (WHERE g.seq IS NOT NULL), 0)::bigint
         FROM looked_at l LEFT JOIN gone g ON g.seq = l.seq"
    )
}

/// One that others of its key wait behind in a topic that blocks would let them go.
fn old_dead_letters(dead_letters: &str) -> String {
    format!(
        "SELECT d.id, d.seq FROM {dead_letters} d
         WHERE d.state = 'dead' AND d.replay_requested_at IS NULL
           AND d.last_failed_at < now() - make_interval(secs => $1::float8)
           AND NOT EXISTS (SELECT FROM {dead_letters} p
             WHERE substr(p.topic, 1, 250) = substr(d.topic, 1, 250)
               AND hashtextextended(p.aggregate_id, 0) = hashtextextended(d.aggregate_id, 0)
               AND p.topic = d.topic AND p.aggregate_id = d.aggregate_id AND p.state = 'parked')
         ORDER BY d.position LIMIT $2"
    )
}

/// Statements on one partition, whose name is quoted.
#[derive(Debug)]
pub(super) struct PartitionSql {
    pub(super) may_go: Statement,
    pub(super) count: Statement,
    pub(super) lock: Statement,
    pub(super) is_settled: Statement,
    pub(super) truncate: Statement,
    pub(super) lock_log: Statement,
    pub(super) is_empty: Statement,
    pub(super) drop: Statement,
}

impl PartitionSql {
    pub(super) fn new(tables: &Tables, partition: &str) -> Self {
        let (messages, cursor) = (tables.messages(), tables.cursor());
        let put = Statement::new;
        // $1: the partition's highest number. What the search by index leaves out is older than the snapshot, and seen.
        let is_settled = format!(
            "coalesce((SELECT c.from_snapshot IS NOT NULL AND c.high >= $1 AND NOT EXISTS (
               SELECT FROM {partition} m WHERE m.xid >= pg_snapshot_xmin(c.from_snapshot)
                 AND NOT pg_visible_in_snapshot(m.xid, c.from_snapshot)) FROM {cursor} c), false)"
        );
        Self {
            may_go: put(format!(
                "SELECT {is_settled}, EXISTS (SELECT FROM {partition}),
                        coalesce((SELECT m.occurred_at < now() - make_interval(secs => $2::float8)
                                  FROM {partition} m ORDER BY m.seq DESC LIMIT 1), true)"
            )),
            count: put(format!(
                "SELECT count(*), coalesce(max(m.occurred_at) < now() - make_interval(secs => $1::float8), true)
                 FROM {partition} m"
            )),
            lock: put(format!("LOCK TABLE {partition} IN ACCESS EXCLUSIVE MODE")),
            is_settled: put(format!("SELECT {is_settled}")),
            truncate: put(format!("TRUNCATE {partition}")),
            lock_log: put(format!(
                "LOCK TABLE ONLY {messages} IN ACCESS EXCLUSIVE MODE; LOCK TABLE {partition} IN ACCESS EXCLUSIVE MODE"
            )),
            is_empty: put(format!("SELECT NOT EXISTS (SELECT FROM {partition})")),
            drop: put(format!("DROP TABLE {partition}")),
        }
    }
}
