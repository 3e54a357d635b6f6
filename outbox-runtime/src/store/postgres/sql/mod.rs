//! Every statement the store runs, with the tables' names put in once: here those on the log and its cursor, beside it
//! those on the dead letters and on the lease.

mod dead_letters;
mod lease;
mod observe;

use self::dead_letters::DeadLetterSql;
use self::lease::LeaseSql;
use self::observe::ObserveSql;
use super::claim::LINEAGE;
use super::home::HomeSql;
use crate::Tables;
use crate::store::controls::interventions;
use crate::store::statement::Statement;

/// Statements whose text depends on the tables' names. Values are always bound, never put in.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) home: HomeSql,
    /// The messages lie in partitions.
    pub(super) partitioned: bool,
    pub(super) dead_letters: DeadLetterSql,
    pub(super) lease: LeaseSql,
    pub(super) observe: ObserveSql,
    pub(super) claim_cursor: Statement,
    pub(super) newest_xid: Statement,
    pub(super) edge: Statement,
    pub(super) highest: Statement,
    pub(super) has_rows_below: Statement,
    pub(super) end_of_piece: Statement,
    pub(super) page_below: Statement,
    pub(super) next_below: Statement,
    pub(super) late_candidates: Statement,
    pub(super) late_next: Statement,
    pub(super) late_page: Statement,
    pub(super) new_page: Statement,
    pub(super) has_large_rows: Statement,
    pub(super) new_page_of_small_rows: Statement,
    pub(super) new_next: Statement,
    pub(super) row_in_bytes: Statement,
    pub(super) persist: Statement,
    pub(super) status: Statement,
    pub(super) cursor: Statement,
    pub(super) undelivered_new: Statement,
    pub(super) undelivered_late: Statement,
    pub(super) undelivered_below: Statement,
    pub(super) note_broker: Statement,
    pub(super) is_held: Statement,
    pub(super) begin_generations: Statement,
    pub(super) interventions: Statement,
}

/// What a record is made of; `decode` reads the columns in this order.
const COLUMNS: &str = "m.seq, m.id, m.topic, m.aggregate_id, m.event_type, m.content_type, m.source, \
                       m.headers, m.payload, m.payload_binary, m.occurred_at";

impl Sql {
    pub(super) fn new(tables: &Tables) -> Self {
        Self::of(tables, false, |_, _| String::new())
    }

    /// The same, and the search for late rows says twice where it looks, so that other partitions are left out.
    /// In one table that would tempt the planner to walk the primary key.
    pub(super) fn of_partitions(tables: &Tables) -> Self {
        Self::of(tables, true, |above, to| {
            format!(" AND m.seq > {above} AND m.seq <= {to}")
        })
    }

    fn of(tables: &Tables, partitioned: bool, within: fn(&str, &str) -> String) -> Self {
        let (looking, following) = (within("$4", "$3"), within("$2", "$3"));
        let paging = within("$4", "$5");
        let (messages, cursor, lease) = (tables.messages(), tables.cursor(), tables.lease());
        let dead_letters = tables.dead_letters();
        let sequence = format!("pg_get_serial_sequence('{messages}', 'seq')::regclass");
        let put = Statement::new;
        Self {
            home: HomeSql::new(tables),
            interventions: put(interventions::list(&tables.controls())),
            partitioned,
            // The cursor row carries its own fence, so a write of an earlier holder, or of an earlier reader of
            // the same one, that is still on its way finds nothing to update. Which of three ids the reader gets says what
            // happened to the cursor; whoever moves it leaves no reader in it.
            claim_cursor: put(format!(
                "UPDATE {cursor} SET epoch = $1, token = $2,
                        reader = CASE WHEN reader IS NULL THEN $4
                                      WHEN left(reader::text, {LINEAGE}) = left($6::uuid::text, {LINEAGE}) THEN $3
                                      WHEN token = $2 THEN $4
                                      ELSE $5 END
                 WHERE epoch < $1 OR (epoch = $1 AND token = $2)
                 RETURNING from_snapshot::text, high, xid_bound::text, to_snapshot::text, high_to, position,
                           system_identifier, database_oid::text, table_oid::text, timeline,
                           pg_current_xact_id()::text, log_id, generation, reader"
            )),
            newest_xid: put(format!("SELECT (SELECT xid FROM {messages} ORDER BY xid DESC, seq DESC LIMIT 1)::text")),
            // The statement's snapshot is taken before it runs, so the sequence is read after it. Rows above its last
            // number are there after it went back. $1, up to where they are looked for elsewhere, leaves out partitions.
            // The last column is how many transaction ids were given out from the snapshot's xmax on: the difference
            // to the next one, which `age` reads and does not take. It is read when the rest is there: a row has
            // its transaction before its seq, so each row up to that seq is of a transaction below the next one.
            edge: put(format!(
                "WITH edge AS MATERIALIZED (
                   SELECT pg_current_snapshot() AS snapshot, pg_is_in_recovery() AS in_recovery, {sequence} AS oid,
                          coalesce(pg_sequence_last_value({sequence}), 0) AS last)
                 SELECT e.snapshot::text, e.in_recovery, e.last,
                        (SELECT m.seq FROM {messages} m WHERE m.seq > e.last AND m.seq > $1
                         ORDER BY m.seq DESC LIMIT 1),
                        (SELECT q.seqincrement = 1 AND q.seqcache = 1 AND q.seqmin > 0 AND NOT q.seqcycle
                         FROM pg_catalog.pg_sequence q WHERE q.seqrelid = e.oid),
                        age(pg_snapshot_xmax(e.snapshot)::xid), e.oid::oid::text
                 FROM edge e"
            )),
            highest: put(format!(
                "SELECT (SELECT m.seq FROM {messages} m
                         WHERE pg_visible_in_snapshot(m.xid, (SELECT $1::text::pg_snapshot))
                         ORDER BY m.seq DESC LIMIT 1)"
            )),
            // All three conditions are the index's, so no row is read but those that are looked for.
            has_rows_below: put(format!(
                "SELECT EXISTS (SELECT FROM {messages} m
                   WHERE m.xid >= $1::text::xid8 AND m.xid < $2::text::xid8 AND m.seq <= $3
                   ORDER BY m.xid, m.seq LIMIT 1)"
            )),
            // The last of so many rows; none if there are fewer.
            end_of_piece: put(format!(
                "SELECT (SELECT m.seq FROM {messages} m WHERE m.seq > $1 AND m.seq <= $2
                         ORDER BY m.seq LIMIT 1 OFFSET $3)"
            )),
            next_below: put(format!(
                "SELECT m.seq FROM {messages} m
                 WHERE m.seq > $2 AND m.seq <= $3
                   AND pg_visible_in_snapshot(m.xid, (SELECT $1::text::pg_snapshot))
                   AND NOT pg_visible_in_snapshot(m.xid, (SELECT $4::text::pg_snapshot))
                 ORDER BY m.seq LIMIT 1"
            )),
            page_below: put(bounded_by_bytes(&format!(
                "SELECT m.* FROM {messages} m
                 WHERE m.seq > $4 AND m.seq <= $5
                   AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                   AND NOT pg_visible_in_snapshot(m.xid, (SELECT $6::text::pg_snapshot))
                 ORDER BY m.seq LIMIT $1"
            ))),
            // A loose index scan: one probe for each transaction, however many rows it has.
            late_candidates: put(format!(
                "WITH RECURSIVE candidate(xid, seq) AS (
                   (SELECT m.xid, m.seq FROM {messages} m
                    WHERE m.xid >= $1::text::xid8 AND m.xid < $2::text::xid8{looking}
                    ORDER BY m.xid, m.seq LIMIT 1)
                   UNION ALL
                   SELECT next.xid, next.seq FROM candidate c CROSS JOIN LATERAL (
                     SELECT m.xid, m.seq FROM {messages} m
                     WHERE m.xid > c.xid AND m.xid < $2::text::xid8{looking}
                     ORDER BY m.xid, m.seq LIMIT 1) next
                 )
                 SELECT xid::text FROM candidate WHERE seq <= $3 AND seq > $4"
            )),
            // Row comparisons fit the (xid, seq) index and no other, so a prepared statement that turned
            // generic cannot wander off along the primary key.
            late_next: put(format!(
                "SELECT late.xid::text, first.seq FROM unnest($1::text[]::xid8[]) AS late(xid)
                 CROSS JOIN LATERAL (SELECT m.seq FROM {messages} m
                   WHERE (m.xid, m.seq) > (late.xid, $2) AND (m.xid, m.seq) <= (late.xid, $3){following}
                   ORDER BY m.xid, m.seq LIMIT 1) first"
            )),
            late_page: put(bounded_by_bytes(
                &format!(
                    "SELECT m.* FROM unnest($3::text[]::xid8[]) AS late(xid)
                     CROSS JOIN LATERAL (SELECT m.* FROM {messages} m
                       WHERE (m.xid, m.seq) > (late.xid, $4) AND (m.xid, m.seq) <= (late.xid, $5){paging}
                       ORDER BY m.xid, m.seq LIMIT $1) m
                     ORDER BY m.seq LIMIT $1"
                ),
            )),
            // PostgreSQL moves what makes a row larger than 2 kB to a side table, each partition to its own.
            has_large_rows: put(format!(
                "SELECT EXISTS (
                   SELECT FROM (SELECT '{messages}'::regclass::oid UNION ALL
                                SELECT inhrelid FROM pg_inherits WHERE inhparent = '{messages}'::regclass) AS part(oid)
                   JOIN pg_class c ON c.oid = part.oid AND c.relkind = 'r'
                   WHERE coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 1) > 0)"
            )),
            new_page_of_small_rows: put(format!(
                "SELECT {COLUMNS} FROM {messages} m
                 WHERE m.seq > $3 AND m.seq <= $4
                   AND pg_visible_in_snapshot(m.xid, (SELECT $2::text::pg_snapshot))
                 ORDER BY m.seq LIMIT $1"
            )),
            new_next: put(format!(
                "SELECT m.seq FROM {messages} m
                 WHERE m.seq > $2 AND m.seq <= $3
                   AND pg_visible_in_snapshot(m.xid, (SELECT $1::text::pg_snapshot))
                 ORDER BY m.seq LIMIT 1"
            )),
            // In the database's own encoding, so that nothing is converted.
            row_in_bytes: put(format!(
                "SELECT m.seq, m.id, convert_to(m.topic, e.own), convert_to(m.aggregate_id, e.own),
                        convert_to(m.event_type, e.own)
                 FROM {messages} m, (SELECT getdatabaseencoding() AS own) e WHERE m.seq = $1"
            )),
            new_page: put(bounded_by_bytes(&format!(
                "SELECT m.* FROM {messages} m
                 WHERE m.seq > $4 AND m.seq <= $5
                   AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                 ORDER BY m.seq LIMIT $1"
            ))),
            // Where the bound is not known, this very statement's id is one: it is greater than that of any row so far.
            // While a snapshot is held, all versions of the row since then stay, which a scan of the table would go through.
            // The newest is in the last block, so an index scan from the end finds it at once. Whoever writes the row
            // meanwhile takes the fence away, and the statement then finds nothing to update either way.
            persist: put(format!(
                "UPDATE {cursor} SET from_snapshot = $3::text::pg_snapshot, high = $4,
                        xid_bound = coalesce($5::text::xid8, pg_current_xact_id()),
                        to_snapshot = $6::text::pg_snapshot, high_to = $7, position = $8,
                        system_identifier = coalesce($9, system_identifier), timeline = coalesce($10, timeline), database_oid = $11::text::oid,
                        table_oid = $12::text::oid, generation = $13, updated_at = now()
                 WHERE ctid = ANY (ARRAY(SELECT ctid FROM {cursor} ORDER BY id DESC LIMIT 1))
                   AND epoch = $1 AND reader = $2 RETURNING true"
            )),
            status: put(format!(
                "SELECT holder, epoch, extract(epoch FROM now() - renewed_at)::float8, ttl_ms,
                        (SELECT count(*) FROM {dead_letters} WHERE state = 'dead'),
                        (SELECT count(*) FROM {dead_letters} WHERE state = 'parked'),
                        EXISTS (SELECT 1 FROM {cursor} WHERE generation IS NOT NULL)
                 FROM {lease}"
            )),
            cursor: put(format!(
                "SELECT from_snapshot::text, high, xid_bound::text, to_snapshot::text, high_to, position,
                        system_identifier, database_oid::text, table_oid::text, timeline
                 FROM {cursor}"
            )),
            undelivered_new: put(format!(
                "SELECT count(*), extract(epoch FROM now() - min(m.occurred_at))::float8 FROM (
                   SELECT m.occurred_at FROM {messages} m
                   WHERE m.seq > $1 AND m.seq <= $2
                     AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                   ORDER BY m.seq LIMIT $4) m"
            )),
            undelivered_late: put(format!(
                "SELECT count(*), extract(epoch FROM now() - min(m.occurred_at))::float8 FROM (
                   SELECT m.occurred_at FROM unnest($1::text[]::xid8[]) AS late(xid)
                   CROSS JOIN LATERAL (SELECT m.occurred_at FROM {messages} m
                     WHERE (m.xid, m.seq) > (late.xid, $2) AND (m.xid, m.seq) <= (late.xid, $3){following}
                     ORDER BY m.xid, m.seq LIMIT $4) m LIMIT $4) m"
            )),
            undelivered_below: put(format!(
                "SELECT count(*), extract(epoch FROM now() - min(m.occurred_at))::float8 FROM (
                   SELECT m.occurred_at FROM {messages} m
                   WHERE m.seq > $1 AND m.seq <= $2
                     AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                     AND NOT pg_visible_in_snapshot(m.xid, (SELECT $5::text::pg_snapshot))
                   ORDER BY m.seq LIMIT $4) m"
            )),
            note_broker: put(format!(
                "UPDATE {cursor} c SET kafka_cluster_id = $3
                 FROM (SELECT kafka_cluster_id FROM {cursor}) before
                 WHERE c.epoch = $1 AND c.reader = $2
                 RETURNING before.kafka_cluster_id"
            )),
            is_held: put(format!(
                "SELECT EXISTS (SELECT 1 FROM {cursor} WHERE epoch = $1 AND reader = $2)"
            )),
            begin_generations: put(format!(
                "UPDATE {cursor} SET generation = $3 WHERE epoch = $1 AND reader = $2 RETURNING true"
            )),
            dead_letters: DeadLetterSql::new(tables),
            lease: LeaseSql::new(tables),
            observe: ObserveSql::new(tables),
        }
    }
}

/// Rows of `page` until their payloads fill `$2` bytes, the first one whatever its size. The payload columns
/// are stored uncompressed, so `pg_column_size` returns their size without reading them.
fn bounded_by_bytes(page: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM (
           SELECT m.*, sum(coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0))
                  OVER (ORDER BY m.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
           FROM ({page}) m
         ) m WHERE m.before IS NULL OR m.before < $2"
    )
}
